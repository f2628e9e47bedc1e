"""WebP: always written lossless, because its lossy mode cannot repeat what it was read with."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.decode import ImageError, exif_orientation
from pconv_hpc.photos.metadata.kept_info import kept_info
from pconv_hpc.photos.photo import Photo

_EFFORT = {"method": 0, "quality": 20}  # the next step takes five times as long for 7%


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a WebP.

    Raises:
        ImageError: it is animated.
    """
    if getattr(image, "n_frames", 1) > 1:
        raise ImageError("an animated WebP; expected a single picture")
    pixels = np.array(image)
    return Photo(
        format="WEBP",
        pixels=pixels,
        color="rgb",
        alpha="straight" if pixels.shape[2] == 4 else "none",
        orientation=exif_orientation(image),
        file_parts=dict(kept_info(image)),
        notes=() if _is_lossless(data) else ("lossy WebP was written lossless, and is larger",),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a lossless WebP file with the metadata it was read with."""
    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(photo.pixels))
    image.save(stream, "WEBP", lossless=True, exact=True, **_EFFORT, **photo.file_parts)
    return stream.getvalue()


def _is_lossless(data: bytes) -> bool:
    """Return whether the picture's chunk, the first that is no metadata, is VP8L."""
    position = 12
    while position + 8 <= len(data):
        name = data[position : position + 4]
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False
