"""TIFF, 8 and 16 bits: pixels, compression and the tags that describe the photo stay."""

import io
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.metadata.iptc import without_preview
from pconv_hpc.photos.metadata.tiff_directory import (
    Entry,
    layout_of,
    pointer,
    read_directory,
    with_tags,
)
from pconv_hpc.photos.metadata.xmp import without_pictures
from pconv_hpc.photos.photo import Photo
from pconv_hpc.photos.tiff_image import TiffPhoto, find_photo

_XMP_TAG, _IPTC_TAG = 700, 33723
_ORIENTATION_TAG, _ICC_TAG, _EXIF_TAG, _GPS_TAG = 274, 34675, 34665, 34853
# Names, dates, resolution, XMP, IPTC, ICC and where on earth: what stays true of the photo. Not
# Photoshop's layers and thumbnails (34377, 37724), which still hold what was erased.
_KEPT = {_ORIENTATION_TAG, _ICC_TAG, 269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316}
_KEPT |= {_XMP_TAG, 33432, 33550, _IPTC_TAG, 33922, 34264, 34735, 34736, 34737, 42112, 42113}
_INTEROPERABILITY_TAG = 0xA005  # in EXIF, points at one more directory, of no use to anyone


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a TIFF or BigTIFF: gray, RGB or CMYK of 8 or 16 bits, with or without alpha.

    What was compressed with loss is written without: its own compression would add more loss.

    Raises:
        ImageError: several pictures, or other pixels.
    """
    layout = layout_of(data)
    if layout is None:
        raise ImageError("not a TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = find_photo(file, len(data), only=True)
        if sorted((found.page.imagewidth, found.page.imagelength)) != sorted(image.size):
            raise ImageError("its directory gives two different sizes")
        page, orientation = found.page, found.orientation
        pixels = np.atleast_3d(np.array(image)) if found.is_lossy else found.pixels()
        options = _options(found)
    notes = []
    if found.is_lossy:
        notes.append(f"{page.compression.name} compression became a lossless one: a larger file")
    if found.num_thumbnails:
        notes.append("the thumbnail beside the photo was left out: it still shows what was erased")
    tags = read_directory(data, page.offset, layout)
    directories = {
        tag: [e for e in read_directory(data, offset, layout) if e.tag != _INTEROPERABILITY_TAG]
        for tag in (_EXIF_TAG, _GPS_TAG)
        if (offset := pointer(tags, tag, layout)) is not None
    }
    return Photo(
        format="TIFF",
        pixels=pixels,
        color=found.color,
        alpha=found.alpha,
        orientation=orientation,
        icc_profile=next((e.value for e in tags if e.tag == _ICC_TAG), None),
        file_parts={
            "layout": layout,
            "options": options,
            "tags": [e for e in map(_without_pictures, tags) if e.tag in _KEPT and e.value],
            "directories": directories,
        },
        notes=tuple(notes),
    )


def _options(found: TiffPhoto) -> dict[str, Any]:
    """Return how tifffile is to write the photo: as it was, or without loss."""
    options = {
        "photometric": found.page.photometric,
        "extrasamples": found.page.extrasamples or None,
    }
    if found.is_lossy:
        if found.color == "rgb":
            options["photometric"] = tifffile.PHOTOMETRIC.RGB
        return {**options, "compression": "adobe_deflate", "predictor": True}
    return {**options, "compression": found.page.compression, "predictor": found.page.predictor}


def encode(photo: Photo) -> bytes:
    """Return the photo as a TIFF file, compressed as it was, with the tags it was read with."""
    parts = photo.file_parts
    pixels = np.ascontiguousarray(photo.pixels)
    if parts["options"]["photometric"] == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        pixels[..., 0] if pixels.shape[2] == 1 else pixels,
        byteorder=parts["layout"].order,
        bigtiff=parts["layout"].is_big,
        planarconfig="contig" if pixels.shape[2] > 1 else None,
        metadata=None,
        software=False,
        **parts["options"],
    )
    return with_tags(stream.getvalue(), parts["tags"], parts["directories"], parts["layout"])


def _without_pictures(entry: Entry) -> Entry:
    if entry.tag == _XMP_TAG:
        return entry.with_value(without_pictures(entry.value))
    if entry.tag == _IPTC_TAG:
        return entry.with_value(without_preview(entry.value))
    return entry
