"""AVIF: encoded again at high quality, with the chroma it had."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.color import LAYOUTS
from pconv_hpc.photos.decode import ImageError, exif_orientation
from pconv_hpc.photos.metadata.kept_info import kept_info
from pconv_hpc.photos.photo import Photo

# What is lost with it outside the mask is in docs/guide/inpaint.md.
_QUALITY = {"quality": 98, "speed": 8}
_SUBSAMPLINGS = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0"}
_HIGH_BIT_DEPTH, _MONOCHROME = 0x40, 0x10


def read(data: bytes, image: Image.Image) -> Photo:
    """Read an AVIF; 10 and 12 bits become 8, with a note.

    Pixels stay as they are stored. How the container turns them is the orientation here, as Pillow
    has it in EXIF, and goes back into the container.

    Raises:
        ImageError: it is animated.
    """
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("an animated AVIF; expected a single picture")
    flags = _coding_flags(data)
    options: dict[str, object] = dict(kept_info(image))
    if not flags & _MONOCHROME:
        chroma = (flags >> 3 & 1, flags >> 2 & 1)
        options["subsampling"] = _SUBSAMPLINGS.get(chroma, "4:2:0")
    pixels = np.atleast_3d(np.array(image))
    color, alpha = LAYOUTS[pixels.shape[2]]
    return Photo(
        format="AVIF",
        pixels=pixels,
        color=color,
        alpha=alpha,
        orientation=exif_orientation(image),
        file_parts=options,
        notes=("10 or 12 bits a channel became 8",) if flags & _HIGH_BIT_DEPTH else (),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as an AVIF file with the metadata it was read with."""
    stream = io.BytesIO()
    pixels = photo.pixels[..., 0] if photo.color == "gray" else photo.pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(stream, "AVIF", **_QUALITY, **photo.file_parts)
    return stream.getvalue()


def _coding_flags(data: bytes) -> int:
    """Return the byte of the codec's configuration that tells depth and chroma; 0: not found."""
    start = data.find(b"av1C")
    return data[start + 6] if 0 <= start < len(data) - 6 else 0
