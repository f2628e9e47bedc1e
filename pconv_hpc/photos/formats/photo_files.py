"""Photos and masks from files for editing, and edited photos back to files of the same kind."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.photos.decode import (
    DEFAULT_MAX_PIXELS,
    ImageError,
    decode_rgb,
    exif_orientation,
    open_image,
)
from pconv_hpc.photos.formats import jpeg, png, tiff, webp
from pconv_hpc.photos.mask_values import KEPT
from pconv_hpc.photos.photo import Photo, upright_view

# The suffix only says which files of a folder are looked at.
# What is edited and written back:
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp")
# What is only looked at, such as masks and photos to be packed:
READ_SUFFIXES = (*PHOTO_SUFFIXES, ".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".jp2", ".avif")

_READERS = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "TIFF": tiff.read,
    "WEBP": webp.read,
}
_ENCODERS = {"JPEG": jpeg.encode, "PNG": png.encode, "TIFF": tiff.encode, "WEBP": webp.encode}
_MAX_BYTES_PER_PIXEL = 16  # twice what RGBA of 16 bits takes uncompressed
_MAX_METADATA_BYTES = 256 << 20
_WHITE = 128
# How exactly what is kept has its gray. The soft edge of a mask passes that gray, too, but as a
# line that is thinner than the square which an area must hold.
_TOLERANCE = 4
_SQUARE = np.ones((5, 5), np.uint8)


@dataclass(frozen=True)
class Mask:
    """What a mask file marks.

    Attributes:
        hole: bool (H, W), true where to erase.
        kept: bool (H, W), true where something stays that no texture is to be taken from; ``None``
            if nothing is marked so.
    """

    hole: np.ndarray
    kept: np.ndarray | None


def read_photo(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Read a JPEG, PNG, TIFF or WebP with all that is needed to write it back.

    Raises:
        ImageError: it is missing, damaged, too large, or of a kind that could not be written back
            without loss; the message names the file.
    """
    with open_image(path, max_pixels) as image:
        reader = _READERS.get(image.format or "")
        if reader is None:
            raise ImageError(f"a {image.format} file; expected {', '.join(_ENCODERS)}")
        limit = max_pixels * _MAX_BYTES_PER_PIXEL + _MAX_METADATA_BYTES
        if path.stat().st_size > limit:
            raise ImageError(f"{path.stat().st_size:,} bytes, more than any photo of its size")
        return reader(path.read_bytes(), image)


def write_photo(photo: Photo, path: Path) -> None:
    """Write a photo in the format it was read from; the file appears whole or not at all."""
    write_bytes(path, _ENCODERS[photo.format](photo))


def read_mask(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Mask:
    """Read a mask file, white = erase, in any format that photos are decoded from, upright.

    At least half of full brightness in the brightest channel counts as white, so pure red does too;
    what is transparent counts as black. Areas of a quarter of full brightness (60 to 68 of 255) are
    kept and no source of texture; other gray, as of soft edges, counts as black.

    Raises:
        ImageError: it is unreadable, or has marks of which none is white.
    """
    rgb = _rgb_over_black(path, max_pixels)
    if rgb is None:
        rgb = decode_rgb(path, max_pixels=max_pixels)
    brightness = np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    brightest = int(brightness.max())
    if 0 < brightest < _WHITE:
        raise ImageError(
            f"{path}: the brightest pixel of this mask is {brightest} of 255; expected white "
            "where to erase and black elsewhere"
        )
    hole = np.asarray(brightness >= _WHITE)
    gray = np.abs(brightness.astype(np.int16) - KEPT) <= _TOLERANCE
    kept = cv2.morphologyEx(gray.astype(np.uint8), cv2.MORPH_OPEN, _SQUARE) > 0
    return Mask(hole, kept if kept.any() else None)


def _rgb_over_black(path: Path, max_pixels: int) -> np.ndarray | None:
    """Return an 8-bit image with transparency as upright RGB; ``None`` for others."""
    with open_image(path, max_pixels) as image:
        if not image.has_transparency_data or image.mode.startswith("I"):
            return None
        shown = Image.new("RGBA", image.size, (0, 0, 0, 255))
        shown.alpha_composite(image.convert("RGBA"))
        # only now: Pillow turns a TIFF while it loads, and then says it is upright
        return upright_view(np.asarray(shown)[..., :3], exif_orientation(image))
