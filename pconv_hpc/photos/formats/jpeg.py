"""JPEG: outside of the holes the erased photo has the very coefficients of the original."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.color import Color
from pconv_hpc.photos.decode import exif_orientation
from pconv_hpc.photos.formats.gain_map import (
    announces_gain_map,
    erased_gain_map,
    read_gain_map,
    with_gain_map,
)
from pconv_hpc.photos.formats.jpeg_blocks import check_blocks, with_new_blocks
from pconv_hpc.photos.formats.jpeg_metadata import read_metadata
from pconv_hpc.photos.jpeg_segments import bare_jpeg, metadata_of, with_metadata
from pconv_hpc.photos.photo import Photo

_COLORS: dict[str, Color] = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a JPEG. Of a file with several pictures the first and its gain map are read and written.

    Raises:
        ImageError: it is lossless, or its quantisation tables cannot be written back.
    """
    bare = bare_jpeg(io.BytesIO(data)).read()
    tables = image.quantization  # type: ignore[attr-defined]
    check_blocks(bare, tables)
    gain_map = read_gain_map(data, image.width * image.height)
    rest = data
    if gain_map is not None:
        rest = data[: gain_map.place[0]] + data[gain_map.place[1] :]
    metadata = read_metadata(rest, keeps_gain_map=gain_map is not None)
    return Photo(
        format="JPEG",
        pixels=np.atleast_3d(np.array(image)),
        color=_COLORS[image.mode],
        orientation=exif_orientation(image),
        icc_profile=metadata.icc_profile,
        file_parts={
            "bare": bare,
            "tables": tables,
            "metadata": metadata.segments,
            "gain_map": gain_map,
            "announces_in_xmp": announces_gain_map(metadata_of(data)),
        },
        notes=metadata.notes,
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a JPEG file with the coefficients and metadata it was read with."""
    parts = photo.file_parts
    jpeg = with_new_blocks(parts["bare"], parts["tables"], photo.pixels, photo.erased)
    if parts["gain_map"] is None:
        return with_metadata(jpeg, parts["metadata"])
    gain_map = erased_gain_map(parts["gain_map"], photo.erased)
    return with_gain_map(jpeg, parts["metadata"], gain_map, in_xmp=parts["announces_in_xmp"])
