"""Run lengths: there and back, as COCO means them, and suspicious of others'."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from pconv_hpc.masks.run_lengths import decode_runs, encode_runs


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (5, 9), (40, 31)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_outlines_come_back_and_are_cocos(size: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(hash((size, share)) % 2**32)
    for _ in range(5):
        shape = rng.random(size) < share
        shape.flat[rng.integers(shape.size)] = True
        counts = encode_runs(shape)
        assert counts.dtype == np.uint32
        np.testing.assert_array_equal(decode_runs(counts, *size), shape)
        runs = {"size": list(size), "counts": counts.tolist()}
        compressed = coco_mask.frPyObjects(runs, *size)
        np.testing.assert_array_equal(coco_mask.decode(compressed).astype(bool), shape)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "of 0 pixels, expected 2 x 3"),
        ([2, 3], "of 5 pixels"),
        ([2, 2**32 - 1, 2**32 - 1], "of 8589934592 pixels"),  # what 32 bits would wrap around
        ([6], "without an object"),
        ([3, 0, 3], "without an object"),
    ],
)
def test_runs_of_another_size_or_of_nothing_are_refused(counts: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_runs(np.array(counts, np.uint32), 2, 3)
