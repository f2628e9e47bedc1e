"""JPEG: outside of the holes the erased photo has the very coefficients of the original."""

import io

import numpy as np
from PIL import Image

from pconv_hpc.photos.color import Color
from pconv_hpc.photos.decode import ImageError, exif_orientation
from pconv_hpc.photos.formats.jpeg_blocks import with_new_blocks
from pconv_hpc.photos.formats.jpeg_metadata import read_metadata, with_segments
from pconv_hpc.photos.jpeg_segments import END, bare_jpeg, read_segments
from pconv_hpc.photos.photo import Photo

_COLORS: dict[str, Color] = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}
# Sequential and progressive frames, Huffman or arithmetic; others have no coefficients to keep.
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_ALL_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three are tables
_TABLES = b"\xff\xdb"


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a JPEG. Of a file with several pictures (MPO, Ultra HDR) the first is taken and written.

    Raises:
        ImageError: it is lossless, or its quantisation tables cannot be written back.
    """
    bare = bare_jpeg(io.BytesIO(data)).read()
    tables = image.quantization  # type: ignore[attr-defined]
    _check(bare, tables)
    metadata = read_metadata(data)
    return Photo(
        format="JPEG",
        pixels=np.atleast_3d(np.array(image)),
        color=_COLORS[image.mode],
        orientation=exif_orientation(image),
        icc_profile=metadata.icc_profile,
        file_parts={"bare": bare, "tables": tables, "segments": metadata.segments},
        notes=metadata.notes,
    )


def encode(photo: Photo) -> bytes:
    """Return the photo as a JPEG file with the coefficients and metadata it was read with."""
    parts = photo.file_parts
    jpeg = with_new_blocks(parts["bare"], parts["tables"], photo.pixels, photo.erased)
    return with_segments(jpeg, parts["segments"])


def _check(bare: bytes, tables: dict[int, list[int]]) -> None:
    """Refuse now what could not be written later."""
    segments = list(read_segments(io.BytesIO(bare)))
    frames = [segment.marker for segment in segments if segment.marker in _ALL_FRAMES]
    if len(frames) != 1 or frames[0] not in _FRAMES:
        kinds = ", ".join(f"SOF{frame - 0xC0}" for frame in frames)
        raise ImageError(f"a JPEG of kind {kinds}; expected a sequential or progressive one")
    if any(0 in table for table in tables.values()):
        raise ImageError("a quantisation table with zeros in it")
    scans = slice(segments[-1].stop, bare.find(END, segments[-1].stop))
    if _TABLES in bare[scans]:
        raise ImageError("its quantisation tables change from scan to scan")
