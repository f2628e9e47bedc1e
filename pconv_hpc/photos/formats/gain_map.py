"""Gain maps behind a JPEG's photo (Ultra HDR, ISO 21496-1, Apple's): kept, and erased as it is.

A gain map is a smaller JPEG that tells how much brighter each place is on a display with a high
dynamic range. What was erased from the photo would still show in it.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pconv_hpc.photos.decode import ImageError, open_image
from pconv_hpc.photos.formats.jpeg_blocks import check_blocks, with_new_blocks
from pconv_hpc.photos.jpeg_segments import (
    APP0,
    APP1,
    APP2,
    APP14,
    END,
    ICC,
    JFIF,
    JFIF_BYTES,
    MAX_BODY_BYTES,
    SIGNATURE,
    Metadata,
    bare_jpeg,
    metadata_of,
    read_segments,
    with_metadata,
)
from pconv_hpc.photos.metadata.xmp import XMP, without_thumbnails

ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_ISO_VERSION_BYTES = 4  # all that the photo's own segment holds
_DESCRIPTIONS = (b"http://ns.adobe.com/hdr-gain-map/", b"http://ns.apple.com/HDRGainMap/")
_MAX_PICTURES = 16
_MARGIN = np.ones((5, 5), np.uint8)  # a gain map blurs what it stands for
_RADIUS = 3  # of the neighbourhood that Telea's method fills from

_END_OF_XMP = re.compile(rb"</[\w.-]+:RDF\s*>")
_ANNOUNCEMENT = (
    b'<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about=""'
    b' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
    b' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0">'
    b'<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">'
    b'<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap"'
    b' Item:Mime="image/jpeg" Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory>'
    b"</rdf:Description>"
)
# CIPA DC-007: a directory of the version, the number of pictures, and where each lies.
_PICTURE_LIST = b"MPF\0"
_LIST = struct.Struct(">4sIH HHI4s HHII HHIII IIIHH IIIHH")
_PRIMARY = 0x030000


class GainMap(NamedTuple):
    """A gain map as it is read.

    Attributes:
        pixels: uint8 (h, w, C), C 1 or 3, in stored order like the photo.
        bare: its JPEG without metadata.
        tables: the quantisation tables of that.
        metadata: what says what its pixels mean.
        place: where it begins and ends in the photo's file.
    """

    pixels: np.ndarray
    bare: bytes
    tables: dict[int, list[int]]
    metadata: list[Metadata]
    place: tuple[int, int]


def read_gain_map(data: bytes, max_pixels: int) -> GainMap | None:
    """Return the gain map behind the photo in a JPEG file, ``None`` if none can be read."""
    for start, stop in _further_pictures(data):
        metadata = _kept(metadata_of(data[start:stop]))
        if not any(_describes_gain_map(*segment) for segment in metadata):
            continue
        bare = bare_jpeg(io.BytesIO(data[start:stop])).read()
        try:
            with open_image(bare, max_pixels) as image:
                tables: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
                check_blocks(bare, tables)
                if image.mode in ("L", "RGB"):
                    pixels = np.array(image)
                    return GainMap(pixels, bare, tables, metadata, (start, stop))
        except ImageError:
            continue
    return None


def erased_gain_map(gain_map: GainMap, erased: np.ndarray) -> bytes:
    """Return the JPEG of a gain map, filled by Telea's method where the photo was erased.

    Args:
        gain_map: as it was read.
        erased: bool (H, W), of the photo, in stored order.
    """
    pixels = gain_map.pixels
    height, width = pixels.shape[:2]
    covered = cv2.resize(erased.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    hole = cv2.dilate((covered > 0).astype(np.uint8), _MARGIN)
    known = pixels * (hole == 0).astype(np.uint8).reshape(height, width, *[1] * (pixels.ndim - 2))
    filled = np.atleast_3d(cv2.inpaint(known, hole, _RADIUS, cv2.INPAINT_TELEA))
    jpeg = with_new_blocks(gain_map.bare, gain_map.tables, filled, hole > 0)
    return with_metadata(jpeg, gain_map.metadata)


def with_gain_map(
    jpeg: bytes, metadata: Sequence[Metadata], gain_map: bytes, *, in_xmp: bool
) -> bytes:
    """Return a JPEG with its metadata, a gain map behind it, and what announces that.

    Args:
        jpeg: the photo, without metadata.
        metadata: of the photo.
        gain_map: a whole JPEG.
        in_xmp: whether XMP is to announce it, too, as far as there is room in its segment.
    """
    announced = _announced(metadata, len(gain_map)) if in_xmp else list(metadata)
    list_start = len(with_metadata(b"", announced)) + 2 + 4 + len(_PICTURE_LIST)
    num_bytes = list_start + _LIST.size + len(jpeg) - 2
    entries = (_PRIMARY, num_bytes, 0, 0, 0), (0, len(gain_map), num_bytes - list_start, 0, 0)
    directory = (b"MM\0*", 8, 3, 0xB000, 7, 4, b"0100", 0xB001, 4, 1, 2, 0xB002, 7, 32, 50, 0)
    body = _PICTURE_LIST + _LIST.pack(*directory, *entries[0], *entries[1])
    return with_metadata(jpeg, [*announced, (APP2, body)]) + gain_map


def announces_gain_map(metadata: Sequence[Metadata]) -> bool:
    """Return whether a photo's XMP says that a gain map follows."""
    return any(body.startswith(XMP) and _DESCRIPTIONS[0] in body for _, body in metadata)


def _announced(metadata: Sequence[Metadata], num_bytes: int) -> list[Metadata]:
    announcement = _ANNOUNCEMENT % num_bytes
    result = []
    for marker, body in metadata:
        end = _END_OF_XMP.search(body) if marker == APP1 and body.startswith(XMP) else None
        if end and len(body) + len(announcement) <= MAX_BODY_BYTES:
            body = body[: end.start()] + announcement + body[end.start() :]
        result.append((marker, body))
    return result


def _further_pictures(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the pictures right behind the first one begin and end."""
    start = 0
    for number in range(_MAX_PICTURES):
        picture = data[start:]
        scan = [segment.stop for segment in read_segments(io.BytesIO(picture))][-1:]
        end = picture.find(END, scan[0]) if scan else -1
        if end < 0:
            return
        if number > 0:
            yield start, start + end + len(END)
        rest = picture[end + len(END) :]
        padding = len(rest) - len(rest.lstrip(b"\0"))
        if not rest.startswith(SIGNATURE, padding):
            return
        start += end + len(END) + padding


def _kept(metadata: Sequence[Metadata]) -> list[Metadata]:
    kept = []
    for marker, body in metadata:
        if marker == APP0 and body.startswith(JFIF) and len(body) >= JFIF_BYTES:
            kept.append((marker, body[:JFIF_BYTES] + bytes(2)))
        elif marker == APP1 and _describes_gain_map(marker, body):
            kept.append((marker, without_thumbnails(body)))
        elif marker == APP14 or (marker == APP2 and body.startswith((ISO_GAIN_MAP, ICC))):
            kept.append((marker, body))
    return kept


def _describes_gain_map(marker: int, body: bytes) -> bool:
    if marker == APP1 and body.startswith(XMP):
        return any(namespace in body for namespace in _DESCRIPTIONS)
    is_iso = marker == APP2 and body.startswith(ISO_GAIN_MAP)
    return is_iso and len(body) > len(ISO_GAIN_MAP) + _ISO_VERSION_BYTES
