"""What the pixels of a mask file mark: white, opacity alone, or labels; never some of it unsaid."""

import cv2
import numpy as np
from PIL import Image

from pconv_hpc.photos.decode import ImageError, rgb_image
from pconv_hpc.photos.jxl_image import JxlImage
from pconv_hpc.photos.mask_values import KEPT
from pconv_hpc.photos.tiff_image import TiffImage

WHITE = 128
# How exactly what is kept has its gray. The soft edge of a mask passes that gray, too, but as a
# line that is thinner than the square which an area must hold.
_TOLERANCE = 4
_SQUARE = np.ones((5, 5), np.uint8)
_LOSSY = ("JPEG", "MPO", "HEIF", "AVIF")
_NEARLY_BLACK = 16  # as lossy formats and bad scans make of black
_FAINT = 32  # what lossy formats leave beside an edge
_MIN_PIXELS = 9  # of a mark
_MIN_PIXELS_OF_LOSSY = 64
_MAX_GAP = 16  # between the grays of a soft edge
# So many times as frequent as its neighbours is a value of its own, no part of an edge.
_DOMINANT, _DOMINANT_OF_LOSSY = 4, 20
_MAX_CANDIDATES = 64
_MAX_PAINTS = 40  # colours of one mask, of four bits a channel; photos have hundreds
_SHOWN = 8  # values named of a long list


def marks(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return what a mask marks, as bool (H, W) in stored orientation: to erase; to keep.

    Raises:
        ImageError: marks would be lost, or it is not certain what is marked.
    """
    rgb, opaque = _over_black(image)
    brightness = np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    if image.mode.startswith("I;16"):  # labels of 16 bits are not to round to black
        brightness = np.maximum(brightness, np.asarray(image) > 0)
    brightest = int(brightness.max())
    if (
        opaque is not None
        and brightest < WHITE
        and (alone := _opacity_alone(rgb, opaque)) is not None
    ):
        return alone, np.zeros_like(alone)
    if 0 < brightest < WHITE:
        raise ImageError(
            f"the brightest pixel of this mask is {brightest} of 255; expected white where to "
            f"erase and black elsewhere{_labels_hint(image)}"
        )
    if image.mode == "P":
        _refuse_black_labels(image)
    gray = (brightness >= KEPT - _TOLERANCE) & (brightness <= KEPT + _TOLERANCE)
    gray[gray] = np.ptp(rgb[gray], axis=1) <= _TOLERANCE
    kept = cv2.morphologyEx(gray.astype(np.uint8), cv2.MORPH_OPEN, _SQUARE) > 0
    floor = _floor(image, brightness)
    dark = (brightness > floor) & (brightness < WHITE) & ~gray
    least, dominant = (
        (_MIN_PIXELS, _DOMINANT) if floor == 0 else (_MIN_PIXELS_OF_LOSSY, _DOMINANT_OF_LOSSY)
    )
    if np.count_nonzero(dark) >= least and (
        _has_lost_parts(brightness, gray, least)
        or _has_lost_labels(rgb, brightness, dark, dominant)
    ):
        raise ImageError(
            "this mask has marks that are too dark to count beside white ones; expected white "
            f"where to erase and black elsewhere{_labels_hint(image)}"
        )
    return brightness >= WHITE, kept


def stored_values(image: Image.Image) -> np.ndarray:
    """Return the labels of a label map, (H, W) in stored orientation.

    They are palette indices, gray values of 8 or 16 bits, or the 24-bit number of a colour.

    Raises:
        ImageError: it is of a lossy format, so its values are not exact.
    """
    if image.format in _LOSSY:
        raise ImageError(
            f"a {image.format}, whose values are not exact; expected a label map as PNG or TIFF"
        )
    if isinstance(image, TiffImage | JxlImage):
        return _numbers(image.stored_pixels())
    return _numbers(np.atleast_3d(np.asarray(image)))


def _numbers(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[2] < 3 or (pixels[..., :3] == pixels[..., :1]).all():
        return pixels[..., 0].astype(np.int32)
    first, second, third = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return first << 16 | second << 8 | third


def _over_black(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return RGB with what is transparent over black, and where it is opaque if that differs."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return np.asarray(rgb_image(image)), None
    rgba = image.convert("RGBA")
    shown = Image.new("RGBA", image.size, (0, 0, 0, 255))
    shown.alpha_composite(rgba)
    rgb, opaque = np.asarray(shown)[..., :3], np.asarray(rgba)[..., 3] >= WHITE
    if opaque.all() or not opaque.any():
        return rgb, None
    codes = np.unique(_numbers(rgb[opaque][None] >> 4))
    if len(codes) > _MAX_PAINTS:
        raise ImageError(
            f"a picture of many colours, {1 - opaque.mean():.0%} of it transparent; expected white "
            "where to erase and black elsewhere: save its transparency as a picture of its own"
        )
    return rgb, opaque


def _opacity_alone(rgb: np.ndarray, opaque: np.ndarray) -> np.ndarray | None:
    """Return what is painted in one dark colour on transparency; ``None``: in more than one."""
    paint = rgb[opaque]
    if np.ptp(paint, axis=0).max() > _FAINT:
        return None
    if opaque.mean() > 0.5:
        raise ImageError(
            f"all of one dark colour, {opaque.mean():.0%} opaque and {1 - opaque.mean():.0%} "
            "transparent, so that either could be meant; expected white where to erase and black "
            "elsewhere"
        )
    return opaque


def _floor(image: Image.Image, brightness: np.ndarray) -> int:
    """Return the brightness up to which this file shows black."""
    counts = np.bincount(brightness.ravel(), minlength=256)
    is_noisy = image.format in (*_LOSSY, "WEBP", "JXL", "JPEG2000")
    return _NEARLY_BLACK if is_noisy or 0 < counts.argmax() <= _NEARLY_BLACK else 0


def _has_lost_parts(brightness: np.ndarray, gray: np.ndarray, least: int) -> bool:
    """Return whether there is a mark, apart from others, no pixel of which is bright enough."""
    _, parts = cv2.connectedComponents((brightness > _FAINT).astype(np.uint8), connectivity=8)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    sizes[np.unique(parts[(brightness >= WHITE) | gray])] = 0
    return bool(sizes.max() >= least)


def _has_lost_labels(
    rgb: np.ndarray, brightness: np.ndarray, dark: np.ndarray, dominant: int
) -> bool:
    """Return whether a dark colour is a value of its own, and not a part of soft edges."""
    colours, counts = np.unique(rgb[dark], axis=0, return_counts=True)
    grays = np.append(np.flatnonzero(np.bincount(brightness.ravel())), WHITE)
    for index in np.argsort(-counts)[:_MAX_CANDIDATES]:
        colour, count = colours[index].astype(int), counts[index]
        if count < _MIN_PIXELS:
            break
        near = np.abs(colours.astype(int) - colour).max(axis=1) <= _TOLERANCE
        others = counts[near].sum() - count
        above = grays[(grays >= colour.max()) & (grays <= WHITE)]
        is_edge = count < dominant * others and np.diff(above).max(initial=0) <= _MAX_GAP
        if not is_edge and _holds_a_square((rgb == colour).all(axis=2)):
            return True
    return False


def _holds_a_square(area: np.ndarray) -> bool:
    return bool(cv2.erode(area.astype(np.uint8), _SQUARE, borderValue=0).any())


def _refuse_black_labels(image: Image.Image) -> None:
    """Refuse a palette that shows several of the values that are used in black."""
    palette = np.asarray(image.convert("RGB")).reshape(-1, 3)
    black = np.asarray(image).ravel()[~palette.any(axis=1)]
    if len(np.unique(black)) > 1:
        raise ImageError(
            f"its palette shows several values in black, as if nothing were marked"
            f"{_labels_hint(image)}"
        )


def _labels_hint(image: Image.Image) -> str:
    """Return what values the file holds, and how to erase some of them."""
    if image.format in _LOSSY:
        return ""
    values, counts = np.unique(stored_values(image), return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:_SHOWN])
    found = ", ".join(f"{_name_of(values[i], image)} ({counts[i]:,} pixels)" for i in most)
    more = ", ..." if len(values) > _SHOWN else ""
    return (
        f". Its values are {found}{more}: if they are labels, say which to erase, such as "
        f"--mask-values {_name_of(values[most[-1]], image)}"
    )


def _name_of(value: int, image: Image.Image) -> str:
    """Return what a person calls a label: its number, or #RRGGBB of a colour."""
    return f"#{value:06x}" if image.mode in ("RGB", "RGBA") else f"{value}"
