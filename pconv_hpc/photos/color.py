"""Stored pixels to what the network sees (RGB in [0, 1]) and back, for every kind of photo."""

import contextlib
import io
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

Color = Literal["gray", "rgb", "cmyk"]
Alpha = Literal["none", "straight", "premultiplied", "ignored"]

NUM_COLORANTS = {"gray": 1, "rgb": 3, "cmyk": 4}
# What so many channels are in formats that say no more.
LAYOUTS: dict[int, tuple[Color, Alpha]] = {
    1: ("gray", "none"),
    2: ("gray", "straight"),
    3: ("rgb", "none"),
    4: ("rgb", "straight"),
}
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601, as Pillow's "L"


def to_rgb(pixels: np.ndarray, color: Color, alpha: Alpha, icc_profile: bytes | None) -> np.ndarray:
    """Convert pixels as they are stored to RGB, alpha flattened over white.

    Args:
        pixels: uint8 or uint16 (H, W, C), the alpha channel last where there is one.
        color: meaning of the other channels.
        alpha: whether there is alpha, and whether colours were multiplied by it; ``ignored`` is
            one more channel that is no alpha.
        icc_profile: of the photo; used for CMYK alone.

    Returns:
        float32 (H, W, 3) in [0, 1].
    """
    maximum = np.iinfo(pixels.dtype).max
    colorants = pixels[..., : NUM_COLORANTS[color]]
    if color == "cmyk":
        image = Image.fromarray(to_8_bits(colorants), "CMYK")
        image.info["icc_profile"] = icc_profile
        rgb = np.asarray(cmyk_to_rgb(image)).astype(np.float32) / 255
    else:
        rgb = colorants.astype(np.float32) / maximum
        if color == "gray":
            rgb = np.repeat(rgb, 3, axis=2)
    if not _shows_white(color, alpha):
        return rgb
    opacity = pixels[..., -1:].astype(np.float32) / maximum
    if alpha == "straight":
        rgb *= opacity
    return np.minimum(rgb + (1 - opacity), 1)


def from_rgb(
    rgb: np.ndarray,
    stored: np.ndarray,
    color: Color,
    alpha: Alpha,
    icc_profile: bytes | None,
) -> np.ndarray:
    """Convert RGB pixels to colorants as they are stored; the inverse of ``to_rgb``.

    Where a stored pixel lets too much white through for a colour, the nearest it can show is taken.

    Args:
        rgb: float32 (N, 3); clipped to [0, 1].
        stored: the stored pixels (N, C) to be replaced; their alpha and dtype are kept.
        color, alpha, icc_profile: as in ``to_rgb``.

    Returns:
        Of the dtype and shape of ``stored``.
    """
    maximum = np.iinfo(stored.dtype).max
    rgb = np.clip(rgb, 0, 1)
    opacity = stored[:, -1:].astype(np.float32) / maximum
    if _shows_white(color, alpha):
        rgb = _without_white(rgb, opacity, alpha)
    if color == "cmyk":
        colorants = _to_cmyk(rgb, icc_profile)
    elif color == "gray":
        colorants = (rgb @ _LUMA)[:, None]
    else:
        colorants = rgb
    if alpha == "premultiplied":
        colorants = np.minimum(colorants, opacity)
    result = stored.copy()
    result[:, : NUM_COLORANTS[color]] = np.rint(colorants * maximum)
    return result


def _shows_white(color: Color, alpha: Alpha) -> bool:
    """Return whether white is to be added behind colorants; premultiplied inks thin out to it."""
    return alpha == "straight" or (alpha == "premultiplied" and color != "cmyk")


def _without_white(rgb: np.ndarray, opacity: np.ndarray, alpha: Alpha) -> np.ndarray:
    """Take the white behind pixels (N, 3) away; those that show nothing else keep their colour."""
    own = np.clip(rgb - (1 - opacity), 0, opacity)
    if alpha == "premultiplied":
        return own
    return np.divide(own, opacity, out=rgb.copy(), where=opacity > 0)


def cmyk_to_rgb(image: Image.Image) -> Image.Image:
    """Convert CMYK to sRGB through the image's own profile, or plainly if that is missing."""
    profile = image.info.get("icc_profile")
    if profile:
        with contextlib.suppress(Exception):  # a broken profile: convert without it
            inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, inks, srgb, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Return uint8 for uint8 or uint16, rounded."""
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) * 255 + 32767) // 65535
    return np.ascontiguousarray(values, dtype=np.uint8)


def _to_cmyk(rgb: np.ndarray, icc_profile: bytes | None) -> np.ndarray:
    """Convert float RGB (N, 3) to float CMYK (N, 4) the way ``cmyk_to_rgb`` came."""
    image = Image.fromarray(np.rint(rgb[None] * 255).astype(np.uint8), "RGB")
    inks = None
    if icc_profile:
        with contextlib.suppress(Exception):  # a broken profile: cmyk_to_rgb did without it too
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            srgb = ImageCms.createProfile("sRGB")
            inks = ImageCms.profileToProfile(image, srgb, profile, outputMode="CMYK")
    if inks is None:
        inks = image.convert("CMYK")
    return np.asarray(inks)[0].astype(np.float32) / 255
