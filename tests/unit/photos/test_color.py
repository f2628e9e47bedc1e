"""Colours to what the network sees and back."""

import numpy as np
import pytest

from pconv_hpc.photos.color import NUM_COLORANTS, Alpha, Color, from_rgb, to_rgb


def stored_pixels(color: Color, alpha: Alpha, dtype: type) -> np.ndarray:
    """Return random pixels (1, N, C) that a file may hold, of every opacity."""
    maximum = np.iinfo(dtype).max
    channels = NUM_COLORANTS[color] + (alpha != "none")
    pixels = np.random.default_rng(0).integers(0, maximum + 1, (1, 2000, channels), dtype=dtype)
    if color == "cmyk":
        pixels[..., 3] = 0  # black ink alone comes back as the other three
    if alpha != "none":
        pixels[:, :100, -1] = 0
    if alpha == "premultiplied":
        pixels[..., :-1] = np.minimum(pixels[..., :-1], pixels[..., -1:])
    return pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", ["none", "straight", "premultiplied"])
@pytest.mark.parametrize("color", ["gray", "rgb", "cmyk"])
def test_what_is_shown_is_stored_so_that_it_is_shown_again(
    color: Color, alpha: Alpha, dtype: type
) -> None:
    pixels = stored_pixels(color, alpha, dtype)
    shown = to_rgb(pixels, color, alpha, None)
    blank = pixels[0].copy()
    blank[:, : NUM_COLORANTS[color]] = 0
    stored = from_rgb(shown[0], blank, color, alpha, None)[None]
    np.testing.assert_array_equal(
        stored[..., NUM_COLORANTS[color] :], blank[None, :, NUM_COLORANTS[color] :]
    )
    np.testing.assert_allclose(to_rgb(stored, color, alpha, None), shown, atol=1.1 / 255)
    if alpha == "premultiplied":
        assert (stored[..., :-1] <= stored[..., -1:]).all()


def test_a_colour_that_half_transparency_cannot_show_becomes_the_nearest() -> None:
    half = np.array([[9, 9, 9, 128]], np.uint8)
    black = np.zeros((1, 3), np.float32)
    assert from_rgb(black, half, "rgb", "straight", None).tolist() == [[0, 0, 0, 128]]
    clear = np.array([[9, 9, 9, 0]], np.uint8)
    assert from_rgb(black + 1, clear, "rgb", "straight", None).tolist() == [[255, 255, 255, 0]]
