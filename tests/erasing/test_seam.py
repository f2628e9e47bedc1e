"""The seam: colours meet at the hole's edge, by valid pixels alone."""

import numpy as np

from pconv_hpc.erasing.seam import match_seam

VALID = np.ones((60, 80), dtype=bool)
VALID[20:40, 30:50] = False


def test_a_constant_error_is_taken_off_at_the_rim_and_kept_inside() -> None:
    rgb = np.full((60, 80, 3), 0.5, dtype=np.float32)
    patch = np.full((60, 80, 3), 0.4, dtype=np.float32)
    matched = match_seam(patch, rgb, VALID, 4)
    np.testing.assert_allclose(matched[20, 30:50], 0.5, atol=1e-5)
    np.testing.assert_allclose(matched[25:35, 35:45], 0.4, atol=1e-6)
    depths = matched[20:30, 40, 0]
    assert (np.diff(depths) <= 1e-6).all()
    np.testing.assert_array_equal(matched[VALID], patch[VALID])


def test_the_old_content_has_no_part_in_it() -> None:
    generator = np.random.default_rng(0)
    rgb = generator.random((60, 80, 3), dtype=np.float32)
    patch = generator.random((60, 80, 3), dtype=np.float32)
    other = rgb.copy()
    other[~VALID] = 7
    np.testing.assert_array_equal(
        match_seam(patch, rgb, VALID, 6), match_seam(patch, other, VALID, 6)
    )


def test_no_feather_and_no_hole_change_nothing() -> None:
    patch = np.random.default_rng(0).random((60, 80, 3), dtype=np.float32)
    assert match_seam(patch, patch * 0, VALID, 0) is patch
    assert match_seam(patch, patch * 0, np.ones_like(VALID), 5) is patch


def test_a_hole_at_the_very_edge() -> None:
    valid = np.zeros((1, 9), dtype=bool)
    valid[0, 8] = True
    patch = np.full((1, 9, 3), 0.4, dtype=np.float32)
    matched = match_seam(patch, np.full((1, 9, 3), 0.6, dtype=np.float32), valid, 3)
    assert np.isfinite(matched).all()
    np.testing.assert_allclose(matched[0, 7], 0.6, atol=1e-5)
