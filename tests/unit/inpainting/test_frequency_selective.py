"""The rim of a hole continued by waves."""

import cv2
import numpy as np
import pytest

from pconv_hpc.inpainting.frequency_selective import continue_by_waves
from pconv_hpc.inpainting.holes import depth_in


def stripes(size: int = 96, angle: float = 0.5, period: float = 9) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.repeat(wave[..., None], 3, axis=2).astype(np.float32)


def disc(size: int = 96, radius: int = 20) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) <= radius


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2, 2.5])
def test_stripes_go_on_into_a_hole_where_smoothing_loses_them(angle: float) -> None:
    rgb, hole = stripes(angle=angle), disc()
    rim = hole & (depth_in(hole) <= 4)
    waves = continue_by_waves(np.where(hole[..., None], 0, rgb), ~hole, rim)
    eight_bit = np.rint(rgb * 255).astype(np.uint8)
    smooth = cv2.inpaint(eight_bit, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA) / 255
    error = np.abs(waves - rgb)[rim].mean()
    assert error < 0.05
    assert error < 0.5 * np.abs(smooth - rgb)[rim].mean()


def test_colour_and_an_even_ground_are_continued() -> None:
    rgb = np.broadcast_to(np.float32([0.8, 0.3, 0.1]), (64, 64, 3)).copy()
    hole = disc(64, 10)
    waves = continue_by_waves(rgb, ~hole, hole)
    assert np.allclose(waves[hole & (depth_in(hole) < 8)], [0.8, 0.3, 0.1], atol=1e-3)


def test_unknown_pixels_have_no_part() -> None:
    rgb, hole = stripes(), disc()
    other = np.where(hole[..., None], np.float32(1), rgb)
    one, two = (continue_by_waves(picture, ~hole, hole) for picture in (rgb, other))
    assert np.array_equal(one, two)


def test_what_knows_nothing_is_black_and_everything_is_in_range() -> None:
    noise = np.random.default_rng(0).random((70, 50, 3)).astype(np.float32)
    known = np.zeros((70, 50), dtype=bool)
    known[:, :4] = True
    waves = continue_by_waves(noise, known, ~known)
    assert waves.min() >= 0
    assert waves.max() <= 1
    assert np.all(waves[:, 40:] == 0)
    assert continue_by_waves(noise, ~known, np.zeros_like(known)).max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (33, 2)])
def test_tiny_pictures(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), 0.5, np.float32)
    hole = np.zeros(shape, dtype=bool)
    hole[0, 0] = True
    assert continue_by_waves(rgb, ~hole, hole).shape == rgb.shape
