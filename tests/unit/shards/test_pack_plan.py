"""The plan of a pack: its order, its options and their limits."""

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.shards.pack_plan import (
    PackOptions,
    default_images_per_shard,
    seeded_order,
)


def test_the_order_never_changes() -> None:
    assert seeded_order(10, 0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "--split"),
        ({"image_size": 7}, "--size"),
        ({"image_size": 5000}, "--size"),
        ({"fraction": 0.0}, "--fraction"),
        ({"fraction": 10.0}, "--fraction"),
        ({"fraction": float("nan")}, "--fraction"),
        ({"images_per_shard": 0}, "--images-per-shard"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PackOptions(**({"split": "train"} | options))


@pytest.mark.parametrize(
    ("num_photos", "size", "expected"),
    [
        (1_281_167, 320, 3488),
        (128_117, 320, 3488),
        (1_900, 160, 128),
        (7, 64, 32),
        (10**6, 4096, 32),
    ],
)
def test_default_images_per_shard(num_photos: int, size: int, expected: int) -> None:
    assert default_images_per_shard(num_photos, size) == expected
