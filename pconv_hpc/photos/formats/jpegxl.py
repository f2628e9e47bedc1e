"""JPEG XL: always written lossless, upright, with EXIF and XMP in boxes."""

import imagecodecs
import numpy as np
from PIL import Image

from pconv_hpc.photos.color import LAYOUTS
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.jxl_image import JxlImage
from pconv_hpc.photos.metadata.boxes import box, boxes
from pconv_hpc.photos.metadata.exif import without_thumbnail
from pconv_hpc.photos.metadata.upright_exif import upright_exif
from pconv_hpc.photos.metadata.xmp import without_pictures
from pconv_hpc.photos.photo import Photo

_HEAD = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
_EFFORT = 3  # more takes many times as long for a few percent


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a JPEG XL of one frame, sRGB or gray, of 8 bits.

    Raises:
        ImageError: it is animated, deeper, or has other colours than sRGB.
    """
    assert isinstance(image, JxlImage)
    header = image.header
    if header.is_animated:
        raise ImageError("an animated JPEG XL; expected a single picture")
    if header.depth != 8 or not header.is_srgb:  # neither could be written back
        raise ImageError(
            f"a JPEG XL of {header.depth} bits or with a colour profile; expected 8 bits of sRGB "
            "or gray: convert it to PNG or TIFF first"
        )
    pixels = image.stored_pixels()
    color, alpha = LAYOUTS[pixels.shape[2]]
    kept, notes = [], []
    if header.is_lossy:
        notes.append("lossy JPEG XL was written lossless, and is larger")
    for name, first, end in boxes(data) if not data.startswith(b"\xff\x0a") else ():
        content = data[first:end]
        if name == b"Exif":
            kept.append((name, content[:4] + upright_exif(without_thumbnail(content[4:]))))
        elif name == b"xml ":
            kept.append((name, without_pictures(content)))
        elif name == b"brob":
            notes.append("compressed metadata was left out")
    return Photo(
        format="JXL",
        pixels=np.require(pixels, requirements="W"),
        color=color,
        alpha=alpha,
        file_parts={"boxes": kept},
        notes=tuple(notes),
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a lossless JPEG XL file with the metadata it was read with."""
    pixels = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    stream = imagecodecs.jpegxl_encode(
        np.ascontiguousarray(pixels),
        lossless=True,
        effort=_EFFORT,
        usecontainer=False,
    )
    kept = photo.file_parts["boxes"]
    if not kept and stream.startswith(b"\xff\x0a"):
        return bytes(stream)
    return _HEAD + b"".join(box(*part) for part in kept) + box(b"jxlc", bytes(stream))
