"""Holes filled with patches, by the real library."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pconv_hpc.inpainting.patchmatch import num_source_patches, patchmatch


def two_grounds() -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, red and rough at the left, green at the right, and a hole on the left."""
    rng = np.random.default_rng(0)
    rgb = np.zeros((80, 120, 3), np.uint8)
    rgb[:, :60, 0] = rng.integers(120, 250, (80, 60))
    rgb[:, 60:, 1] = rng.integers(120, 250, (80, 60))
    hole = np.zeros((80, 120), dtype=bool)
    hole[30:50, 15:40] = True
    return rgb, hole


def test_a_hole_is_filled_with_the_ground_around_it_and_nothing_else_changes() -> None:
    rgb, hole = two_grounds()
    filled = patchmatch(rgb, hole)
    assert np.array_equal(filled[~hole], rgb[~hole])
    assert filled[hole][:, 0].mean() > 150
    assert filled[hole][:, 1].mean() < 5
    assert filled[hole][:, 0].std() > 0.3 * rgb[:, :60, 0].std()


def test_what_lies_in_the_hole_has_no_part_and_the_result_repeats() -> None:
    rgb, hole = two_grounds()
    other = rgb.copy()
    other[hole] = (0, 0, 255)
    assert np.array_equal(patchmatch(rgb, hole)[hole], patchmatch(other, hole)[hole])


def test_patches_come_from_the_source_alone() -> None:
    rgb, hole = two_grounds()
    source = np.zeros_like(hole)
    source[:, 60:] = True
    filled = patchmatch(rgb, hole, source=source)
    assert filled[hole][:, 0].max() == 0
    assert filled[hole][:, 1].mean() > 100
    assert np.array_equal(filled[~hole], rgb[~hole])


def test_threads_do_not_disturb_each_other() -> None:
    rgb, hole = two_grounds()
    pictures = [rgb, rgb[::-1].copy(), rgb[:, ::-1].copy(), np.roll(rgb, 7, axis=1)]
    alone = [patchmatch(picture, hole) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: patchmatch(picture, hole), pictures * 3))
    for index, result in enumerate(together):
        assert np.array_equal(result, alone[index % 4])


def test_a_source_without_a_whole_patch_is_refused() -> None:
    rgb, hole = two_grounds()
    source = np.zeros_like(hole)
    source[:6, :6] = True
    assert num_source_patches(source) == 0
    with pytest.raises(ValueError, match="no patch of 7 x 7 pixels"):
        patchmatch(rgb, hole, source=source)
    source[:8, :9] = True
    assert num_source_patches(source) == 2 * 3
