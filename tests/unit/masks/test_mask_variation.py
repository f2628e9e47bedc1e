"""Varied masks: flips, turns and shifts of the given one, never without hole or valid pixel."""

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_variation import MaskVariation

SIZE = 16


def l_shaped_mask(size: int = SIZE) -> np.ndarray:
    """Return a mask (size, size) whose hole no flip or turn leaves as it is."""
    mask = np.ones((size, size), np.uint8)
    mask[size // 4 : 3 * size // 4, size // 4 : size // 4 + 2] = 0
    mask[3 * size // 4 - 2 : 3 * size // 4, size // 4 : size // 2 + 2] = 0
    return mask


def vary(
    mask: np.ndarray, count: int, *, size: int = SIZE, max_shift: float = 0.0, seed: int = 0
) -> np.ndarray:
    packed = np.repeat(np.packbits(mask, axis=1)[None], count, axis=0)
    epochs, samples = np.zeros(count, np.int64), np.arange(count, dtype=np.int64)
    variation = MaskVariation(len(mask), size, max_shift)
    return variation.vary(packed, seed=seed, epochs=epochs, samples=samples)


@pytest.mark.parametrize("size", [SIZE, SIZE + 3])  # the last is no multiple of 8 bits
def test_without_shift_the_eight_flips_and_turns_come_out_evenly(size: int) -> None:
    mask = l_shaped_mask(size)
    expected = {np.rot90(m, k).tobytes() for m in (mask, mask[:, ::-1]) for k in range(4)}
    found = [varied.tobytes() for varied in vary(mask, 400, size=size)]
    assert set(found) == expected
    assert min(found.count(kind) for kind in expected) > 25


def test_shifts_move_the_hole_and_bring_in_valid_pixels() -> None:
    mask = np.ones((SIZE, SIZE), np.uint8)
    mask[7:9, 7:9] = 0
    varied = vary(mask, 300, max_shift=0.25)
    assert (varied == 0).sum(axis=(1, 2)).tolist() == [4] * 300
    tops = {int(np.flatnonzero((m == 0).any(axis=1))[0]) for m in varied}
    lefts = {int(np.flatnonzero((m == 0).any(axis=0))[0]) for m in varied}
    assert tops == lefts == set(range(3, 12))


def test_a_hole_is_cut_off_at_the_border_and_never_wraps() -> None:
    mask = np.ones((SIZE, SIZE), np.uint8)
    mask[:, 0] = 0
    for varied in vary(mask, 200, max_shift=0.5):
        holes = varied == 0
        lines = int(holes.any(axis=1).sum()), int(holes.any(axis=0).sum())
        assert min(lines) == 1  # still a single line
        assert 8 <= max(lines) <= SIZE


@pytest.mark.parametrize("max_shift", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("corner", [(0, 0), (39, 0), (39, 39), (20, 20)])
@pytest.mark.parametrize("value", [0, 1])
def test_no_mask_comes_out_all_hole_or_all_valid(
    value: int, corner: tuple[int, int], max_shift: float
) -> None:
    mask = np.full((40, 40), 1 - value, np.uint8)
    mask[corner] = value
    for varied in vary(mask, 50, max_shift=max_shift):
        assert varied.any()
        assert not varied.all()
    middle = MaskVariation(40, SIZE, 0.0).centre(mask[None])
    assert middle.shape == (1, SIZE, SIZE)
    assert middle.any()
    assert not middle.all()


def test_a_larger_mask_is_cut_at_random_places() -> None:
    mask = np.indices((64, 64)).sum(axis=0).astype(np.uint8) // 3 % 2
    varied = vary(mask, 100)
    windows = np.lib.stride_tricks.sliding_window_view(mask, (SIZE, SIZE)).reshape(-1, SIZE, SIZE)
    kinds = {np.rot90(w, k).tobytes() for w in windows for k in range(4)}
    kinds |= {np.rot90(w[:, ::-1], k).tobytes() for w in windows for k in range(4)}
    assert {window.tobytes() for window in varied} <= kinds
    assert len({window.tobytes() for window in varied}) > 5


def test_the_middle_of_a_mask_is_taken_unvaried() -> None:
    mask = l_shaped_mask(24)
    np.testing.assert_array_equal(
        MaskVariation(24, 16, 0.5).centre(mask[None])[0], mask[4:20, 4:20]
    )


def test_variation_follows_from_seed_epoch_and_sample() -> None:
    mask = l_shaped_mask()
    first = vary(mask, 50, max_shift=0.3)
    np.testing.assert_array_equal(first, vary(mask, 50, max_shift=0.3))
    np.testing.assert_array_equal(first[:7], vary(mask, 7, max_shift=0.3))
    assert not np.array_equal(first, vary(mask, 50, max_shift=0.3, seed=1))


def test_masks_smaller_than_the_photo_are_refused() -> None:
    with pytest.raises(UsageError, match=r"make-masks OUT --size 32"):
        MaskVariation(16, 32, 0.0)


@pytest.mark.parametrize("value", [0, 1])
def test_a_mask_without_hole_or_valid_pixel_is_refused(value: int) -> None:
    mask = np.full((SIZE, SIZE), value, np.uint8)
    with pytest.raises(UsageError, match="all hole or all valid"):
        vary(mask, 1)
