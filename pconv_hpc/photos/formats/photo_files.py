"""Photos and masks from files for editing, and edited photos back to files of the same kind."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.photos.decode import (
    DEFAULT_MAX_PIXELS,
    ImageError,
    exif_orientation,
    open_image,
)
from pconv_hpc.photos.formats import (
    avif,
    bmp,
    gif,
    heif,
    jpeg,
    jpeg2000,
    jpegxl,
    png,
    tiff,
    webp,
)
from pconv_hpc.photos.formats.mask_marks import marks, stored_values
from pconv_hpc.photos.photo import Photo, upright_view

# What is read and written; the suffix only says which files of a folder are looked at.
PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".hif",
    ".avif", ".jxl", ".jp2", ".jpf", ".jpx", ".j2k", ".j2c", ".bmp", ".dib", ".gif",
)  # fmt: skip
# What is only looked at, such as masks and photos to be packed:
READ_SUFFIXES = (*PHOTO_SUFFIXES, ".ppm", ".pgm", ".pnm")

_READERS = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "TIFF": tiff.read,
    "WEBP": webp.read,
    "HEIF": heif.read,
    "AVIF": avif.read,
    "JXL": jpegxl.read,
    "JPEG2000": jpeg2000.read,
    "BMP": bmp.read,
    "DIB": bmp.read,
    "GIF": gif.read,
}
_ENCODERS = {
    "JPEG": jpeg.encode,
    "PNG": png.encode,
    "TIFF": tiff.encode,
    "WEBP": webp.encode,
    "HEIF": heif.encode,
    "AVIF": avif.encode,
    "JXL": jpegxl.encode,
    "JPEG2000": jpeg2000.encode,
    "BMP": bmp.encode,
    "GIF": gif.encode,
}
_MAX_BYTES_PER_PIXEL = 16  # twice what RGBA of 16 bits takes uncompressed
_MAX_METADATA_BYTES = 256 << 20


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
    """Read a photo of any of these formats with all that is needed to write it back.

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


def read_mask(
    path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, values: Collection[int] | None = None
) -> Mask:
    """Read a mask file, white = erase, in any format that photos are decoded from, upright.

    At least half of full brightness in the brightest channel counts as white, so pure red does too;
    what is transparent counts as black. One dark colour painted on transparency counts as white.
    Areas of a quarter of full brightness (60 to 68 of 255) are kept and no source of texture; other
    gray, as of soft edges, counts as black.

    Args:
        path: the file.
        max_pixels: larger ones are refused before they are decoded.
        values: of a label map, those to erase; see ``stored_values``.

    Raises:
        ImageError: it is unreadable, or has marks that would be lost because they are not white.
    """
    with open_image(path, max_pixels) as image:
        image.load()
        if values is None:
            hole, kept = marks(image)
        else:
            hole = np.isin(stored_values(image), list(values))
            kept = np.zeros_like(hole)
        # only now: Pillow turns a TIFF while it loads, and then says it is upright
        orientation = exif_orientation(image)
    hole, kept = (np.ascontiguousarray(upright_view(a, orientation)) for a in (hole, kept))
    return Mask(hole, kept if kept.any() else None)
