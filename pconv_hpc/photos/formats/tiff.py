"""TIFF, 8 and 16 bits: pixels, compression and the tags that describe the photo stay."""

import io
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from pconv_hpc.photos.color import NUM_COLORANTS, Alpha, Color
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.formats.iptc import without_preview
from pconv_hpc.photos.formats.tiff_directory import (
    Entry,
    byte_order,
    first_directory,
    pointer,
    read_directory,
    with_tags,
)
from pconv_hpc.photos.formats.xmp import without_pictures
from pconv_hpc.photos.photo import Photo

_COLORS: dict[str, Color] = {
    "MINISBLACK": "gray",
    "MINISWHITE": "gray",
    "RGB": "rgb",
    "SEPARATED": "cmyk",
}
_LOSSLESS = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "ZSTD", "LZMA")
_ALPHAS: dict[str, Alpha] = {"ASSOCALPHA": "premultiplied", "UNASSALPHA": "straight"}
_MAX_TILE_SIDE = 4096

_XMP_TAG, _IPTC_TAG = 700, 33723
_ORIENTATION_TAG, _ICC_TAG, _EXIF_TAG, _GPS_TAG = 274, 34675, 34665, 34853
# Names, dates, resolution, XMP, IPTC, ICC and where on earth: what stays true of the photo. Not
# Photoshop's layers and thumbnails (34377, 37724), which still hold what was erased.
_KEPT = {_ORIENTATION_TAG, _ICC_TAG, 269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316}
_KEPT |= {_XMP_TAG, 33432, 33550, _IPTC_TAG, 33922, 34264, 34735, 34736, 34737, 42112, 42113}
_INTEROPERABILITY_TAG = 0xA005  # in EXIF, points at one more directory, of no use to anyone


def read(data: bytes, image: Image.Image) -> Photo:
    """Read a TIFF of one page: gray, RGB or CMYK of 8 or 16 bits, with or without alpha.

    Raises:
        ImageError: several pages, BigTIFF, lossy compression, or other pixels.
    """
    order = byte_order(data)
    if order is None:
        raise ImageError("a BigTIFF; expected a classic TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) > 1:
            raise ImageError(f"a TIFF of {len(file.pages)} pages; expected a single picture")
        page: Any = file.pages[0]
        color, alpha = _check(page, image, len(data))
        planes = page.asarray(squeeze=False)[:, 0]  # (P, H, W, S); P or S is 1: planar or mixed
        pixels = np.moveaxis(planes, 0, 2).reshape(*planes.shape[1:3], -1)
    inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    tags = first_directory(data, order)
    directories = {
        tag: [e for e in read_directory(data, offset, order) if e.tag != _INTEROPERABILITY_TAG]
        for tag in (_EXIF_TAG, _GPS_TAG)
        if (offset := pointer(tags, tag, order)) is not None
    }
    return Photo(
        format="TIFF",
        pixels=np.ascontiguousarray(np.iinfo(pixels.dtype).max - pixels if inverted else pixels),
        color=color,
        alpha=alpha,
        orientation=int(page.tags.valueof(_ORIENTATION_TAG, 1)),
        icc_profile=next((e.value for e in tags if e.tag == _ICC_TAG), None),
        file_parts={
            "order": order,
            "options": {
                "photometric": page.photometric,
                "compression": page.compression,
                "predictor": page.predictor,
                "extrasamples": page.extrasamples or None,
            },
            "tags": [e for e in map(_without_pictures, tags) if e.tag in _KEPT and e.value],
            "directories": directories,
        },
    )


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
        byteorder=parts["order"],
        planarconfig="contig" if pixels.shape[2] > 1 else None,
        metadata=None,
        software=False,
        **parts["options"],
    )
    return with_tags(stream.getvalue(), parts["tags"], parts["directories"], parts["order"])


def _without_pictures(entry: Entry) -> Entry:
    if entry.tag == _XMP_TAG:
        return entry.with_value(without_pictures(entry.value))
    if entry.tag == _IPTC_TAG:
        return entry.with_value(without_preview(entry.value))
    return entry


def _check(page: Any, image: Image.Image, num_bytes: int) -> tuple[Color, Alpha]:
    """Return what the channels of a page mean; refuse what cannot be written back as it was."""
    if sorted((page.imagewidth, page.imagelength)) != sorted(image.size):
        raise ImageError("its directory gives two different sizes")
    if page.compression.name not in _LOSSLESS:
        raise ImageError(f"{page.compression.name} compression; expected a lossless one")
    tile = max(page.tilewidth, page.tilelength) * page.tiledepth
    if tile > max(_MAX_TILE_SIDE, *image.size):  # each is decoded whole, whatever is in it
        raise ImageError(
            f"a tile of {page.tilewidth} x {page.tilelength} pixels in a picture of "
            f"{image.width} x {image.height}"
        )
    if page.dtype not in (np.uint8, np.uint16) or page.bitspersample not in (8, 16):
        raise ImageError(f"pixels of {page.bitspersample} bits ({page.dtype}); expected 8 or 16")
    color = _COLORS.get(page.photometric.name)
    if color is None:
        raise ImageError(f"{page.photometric.name} pixels; expected gray, RGB or CMYK")
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or min(page.databytecounts) <= 0 or max(ends) > num_bytes:
        raise ImageError("the file is cut short")
    extra = page.samplesperpixel - NUM_COLORANTS[color]
    if extra == 0:
        return color, "none"
    if extra == 1:  # what is not said to be alpha is kept, and is none of the colours' business
        name = page.extrasamples[0].name if page.extrasamples else ""
        return color, _ALPHAS.get(name, "ignored")
    raise ImageError(f"{page.samplesperpixel} channels; expected at most one beside the colours")
