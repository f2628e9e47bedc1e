"""Scaling down and up: holes grow, never vanish, and nothing leaks out of them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pconv_hpc.inpainting.scaling import enlarge_photo, reduce_photo, reduced_shape


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def test_a_photo_that_fits_is_left_as_it_is() -> None:
    rgb, valid = photo(9, 7), np.ones((9, 7), dtype=bool)
    valid[3, 3] = False
    reduced, reduced_valid = reduce_photo(rgb, valid, (9, 7))
    np.testing.assert_array_equal(reduced[valid], rgb[valid])
    assert (reduced[~valid] == 0).all()
    np.testing.assert_array_equal(reduced_valid, valid)


def test_means_are_kept() -> None:
    rgb = np.full((40, 60, 3), 0.3, dtype=np.float32)
    reduced, _ = reduce_photo(rgb, np.ones((40, 60), dtype=bool), (13, 20))
    np.testing.assert_allclose(reduced, 0.3, atol=1e-6)
    np.testing.assert_allclose(enlarge_photo(reduced, (40, 60)), 0.3, atol=1e-6)


@settings(max_examples=100)
@given(st.integers(1, 120), st.integers(1, 120), st.floats(1, 40), st.data())
def test_any_hole_pixel_makes_a_hole_pixel(
    height: int, width: int, factor: float, data: st.DataObject
) -> None:
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    valid = np.ones((height, width), dtype=bool)
    valid[y, x] = False
    shape = reduced_shape(height, width, factor)
    assume(shape[0] * shape[1] > 9)  # in 3 x 3 the hole may have a part in every pixel
    _, reduced_valid = reduce_photo(photo(height, width), valid, shape)
    scale_y, scale_x = height / shape[0], width / shape[1]
    assert not reduced_valid[int((y + 0.5) / scale_y), int((x + 0.5) / scale_x)]


@pytest.mark.parametrize("shape", [(10, 10), (7, 11), (3, 2), (1, 1)])
def test_what_lies_in_holes_never_leaks(shape: tuple[int, int]) -> None:
    valid = np.random.default_rng(1).random((44, 44)) < 0.5
    valid[:20, :20] = True
    rgb = photo(44, 44)
    other = np.where(valid[..., None], rgb, np.float32(np.nan))
    for a, b in zip(
        reduce_photo(rgb, valid, shape), reduce_photo(other, valid, shape), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_where_every_reduced_pixel_holds_a_hole_the_valid_parts_count() -> None:
    valid = np.zeros((64, 64), dtype=bool)
    valid[::4] = True
    rgb = np.where(valid[..., None], np.float32(0.7), np.float32(0))
    reduced, reduced_valid = reduce_photo(rgb, valid, (8, 8))
    assert reduced_valid.all()
    np.testing.assert_allclose(reduced, 0.7, atol=1e-5)
