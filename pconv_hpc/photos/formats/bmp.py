"""BMP: gray, RGB and RGBA of 8 bits; palettes and 16-bit pixels become RGB."""

import imagecodecs
import numpy as np
from PIL import Image

from pconv_hpc.photos.color import LAYOUTS
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.photo import Photo

_RESOLUTION = slice(38, 46)  # of every header but the oldest, pixels a metre


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a BMP.

    Raises:
        ImageError: pixels of an unknown kind.
    """
    notes: tuple[str, ...] = ()
    if image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
        notes = ("palette became 8 bits a channel",)
    if image.mode not in ("L", "RGB", "RGBA"):
        raise ImageError(f"a BMP of mode {image.mode}; expected gray or RGB")
    pixels = np.atleast_3d(np.array(image))
    color, alpha = LAYOUTS[pixels.shape[2]]
    return Photo(
        format="BMP",
        pixels=pixels,
        color=color,
        alpha=alpha,
        file_parts={"resolution": data[_RESOLUTION] if image.info.get("dpi") else None},
        notes=notes,
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a BMP file."""
    pixels = photo.pixels[..., 0] if photo.color == "gray" else photo.pixels
    encoded = bytearray(imagecodecs.bmp_encode(np.ascontiguousarray(pixels)))
    if photo.file_parts["resolution"]:
        encoded[_RESOLUTION] = photo.file_parts["resolution"]
    return bytes(encoded)
