"""EXIF blocks kept byte for byte, but for pictures in them, which still show what was erased."""

import contextlib
import struct
from collections.abc import Iterator, Sequence

from pconv_hpc.photos.jpeg_segments import EXIF, embedded_jpegs

_ENTRY_BYTES = 12
# Where a thumbnail lies, and how long it is: as a JPEG, or in strips of plain pixels.
_RANGE_TAGS = ((0x0201, 0x0202), (0x0111, 0x0117))
_MAX_STRIPS = 1 << 16  # more than any thumbnail has rows; a hostile block claims any number
_MAX_DIRECTORIES = 16
_SHORT = 3


def without_thumbnail(exif: bytes) -> bytes:
    """Return an EXIF block without its thumbnails; nothing in it moves.

    The first directory's link to the thumbnail's directory is cut, and the bytes of this and all
    further thumbnails, JPEGs or strips of pixels, are set to 0. So are JPEGs anywhere in the block:
    cameras hide previews in their maker notes. Of a block too broken to follow only these go.
    """
    block = bytearray(_without_directories(exif))
    for start, stop in embedded_jpegs(exif):
        block[start:stop] = bytes(stop - start)
    return bytes(block)


def _without_directories(exif: bytes) -> bytes:
    """Return a block whose first directory links to no other, and their thumbnails zeros."""
    start = len(EXIF) if exif.startswith(EXIF) else 0
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[start : start + 4])
    block = bytearray(exif[start:])
    try:
        if order is None:
            return exif
        first = struct.unpack_from(f"{order}I", block, 4)[0]
        link = first + 2 + _ENTRY_BYTES * struct.unpack_from(f"{order}H", block, first)[0]
        second = struct.unpack_from(f"{order}I", block, link)[0]
        if second == 0:
            return exif
        struct.pack_into(f"{order}I", block, link, 0)
    except struct.error:
        return exif
    ranges = []
    for directory in _directories(block, second, order):
        with contextlib.suppress(struct.error):
            ranges += _thumbnail_ranges(block, directory, order)
    cleared = 0
    for first, last in sorted(ranges):
        if first > 0 and last <= len(block):
            cleared = max(cleared, first)  # a hostile block names one range again and again
            block[cleared:last] = bytes(max(last - cleared, 0))
            cleared = max(cleared, last)
    return exif[:start] + bytes(block)


def _directories(block: bytearray, first: int, order: str) -> Iterator[int]:
    """Yield where a directory and those that it links to begin; a loop is left."""
    directory = first
    with contextlib.suppress(struct.error):
        for _ in range(_MAX_DIRECTORIES):
            if directory == 0:
                return
            yield directory
            count = struct.unpack_from(f"{order}H", block, directory)[0]
            link = directory + 2 + _ENTRY_BYTES * count
            directory = struct.unpack_from(f"{order}I", block, link)[0]


def _thumbnail_ranges(block: bytearray, directory: int, order: str) -> list[tuple[int, int]]:
    """Return where the bytes of a directory's thumbnail begin and end."""
    entries = {}
    for index in range(struct.unpack_from(f"{order}H", block, directory)[0]):
        position = directory + 2 + _ENTRY_BYTES * index
        entries[struct.unpack_from(f"{order}H", block, position)[0]] = position
    ranges = []
    for offset_tag, length_tag in _RANGE_TAGS:
        if offset_tag in entries and length_tag in entries:
            offsets = _numbers(block, entries[offset_tag], order)
            lengths = _numbers(block, entries[length_tag], order)
            ranges += [(first, first + n) for first, n in zip(offsets, lengths, strict=False)]
    return ranges


def _numbers(block: bytearray, position: int, order: str) -> Sequence[int]:
    """Return the numbers of the entry at ``position``."""
    kind, count = struct.unpack_from(f"{order}HI", block, position + 2)
    width, size = ("H", 2) if kind == _SHORT else ("I", 4)
    start = position + 8
    if count * size > 4:
        (start,) = struct.unpack_from(f"{order}I", block, start)
        count = min(count, (len(block) - start) // size, _MAX_STRIPS)
    return struct.unpack_from(f"{order}{count}{width}", block, start) if count > 0 else ()
