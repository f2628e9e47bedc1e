"""The rim of a hole: from the photo outside into what the network made, and nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pconv_hpc.inpainting.rim import continue_rim

VALID = np.ones((60, 80), dtype=bool)
VALID[20:40, 30:50] = False


def test_the_rim_fades_from_outside_into_what_the_network_made() -> None:
    rgb = np.full((60, 80, 3), 0.6, dtype=np.float32)
    patch = np.full((60, 80, 3), 0.4, dtype=np.float32)
    filled = continue_rim(patch, rgb, VALID, 4)
    np.testing.assert_array_equal(filled[VALID], patch[VALID])
    np.testing.assert_allclose(filled[25:35, 35:45], 0.4, atol=1e-6)
    np.testing.assert_allclose(filled[20, 30:50], 0.6, atol=1e-5)
    depths = filled[20:30, 40, 0]
    assert (np.diff(depths) <= 1e-6).all()


def test_a_ramp_runs_on_where_the_network_is_off() -> None:
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 80, dtype=np.float32)[:, None], (60, 80, 3))
    filled = continue_rim(ramp + np.float32(0.15), ramp, VALID, 4)
    rim = np.zeros_like(VALID)
    rim[20:40, 30:50] = True
    rim[22:38, 32:48] = False
    assert np.abs(filled - ramp)[rim].mean() < 0.03


def test_what_was_in_the_hole_and_what_the_network_made_of_the_rest_have_no_part_in_it() -> None:
    generator = np.random.default_rng(0)
    rgb = generator.random((60, 80, 3), dtype=np.float32)
    patch = generator.random((60, 80, 3), dtype=np.float32)
    other_rgb, other_patch = rgb.copy(), patch.copy()
    other_rgb[~VALID] = 7
    other_patch[VALID] = 7
    np.testing.assert_array_equal(
        continue_rim(patch, rgb, VALID, 4)[~VALID],
        continue_rim(other_patch, other_rgb, VALID, 4)[~VALID],
    )


def test_no_width_and_no_hole_change_nothing() -> None:
    patch = np.random.default_rng(0).random((60, 80, 3), dtype=np.float32)
    assert continue_rim(patch, patch * 0, VALID, 0) is patch
    assert continue_rim(patch, patch * 0, np.ones_like(VALID), 5) is patch
    assert continue_rim(patch, patch * 0, np.zeros_like(VALID), 5) is patch


@given(st.integers(1, 7), st.integers(1, 7), st.floats(0, 1), st.integers(0, 99), st.floats(0.5, 5))
def test_any_small_picture(h: int, w: int, holes: float, seed: int, width: float) -> None:
    generator = np.random.default_rng(seed)
    valid = generator.random((h, w)) >= holes
    patch, rgb = generator.random((2, h, w, 3), dtype=np.float32)
    filled = continue_rim(patch, rgb, valid, width)
    assert ((filled >= 0) & (filled <= 1)).all()
    np.testing.assert_array_equal(filled[valid], patch[valid])
    np.testing.assert_array_equal(filled, continue_rim(patch, rgb, valid, width))


def test_a_hole_at_the_very_edge() -> None:
    valid = np.zeros((1, 9), dtype=bool)
    valid[0, 8] = True
    patch = np.full((1, 9, 3), 0.4, dtype=np.float32)
    filled = continue_rim(patch, np.full((1, 9, 3), 0.6, dtype=np.float32), valid, 3)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[0, 7], 0.6, atol=1e-5)
    np.testing.assert_allclose(filled[0, :4], 0.4, atol=1e-6)
