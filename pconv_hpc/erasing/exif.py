"""EXIF blocks kept byte for byte, but for the thumbnail, which still shows what was erased."""

import struct

_PREFIX = b"Exif\0\0"
_ENTRY_BYTES = 12
_THUMBNAIL_OFFSET_TAG, _THUMBNAIL_LENGTH_TAG = 0x0201, 0x0202
_SHORT = 3


def without_thumbnail(exif: bytes) -> bytes:
    """Return an EXIF block without its thumbnail; nothing in it moves, maker notes stay whole.

    The first directory's link to the thumbnail's directory is cut and the thumbnail's bytes are
    set to 0. A block too broken to follow is returned as it is.
    """
    start = len(_PREFIX) if exif.startswith(_PREFIX) else 0
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
        entries = _read_entries(block, second, order)
    except struct.error:
        return exif
    offset, length = entries.get(_THUMBNAIL_OFFSET_TAG), entries.get(_THUMBNAIL_LENGTH_TAG)
    if offset and length and offset + length <= len(block):
        block[offset : offset + length] = bytes(length)
    return exif[:start] + bytes(block)


def _read_entries(block: bytearray, directory: int, order: str) -> dict[int, int]:
    """Return the single numbers of a directory: ``{tag: value}``."""
    entries = {}
    for index in range(struct.unpack_from(f"{order}H", block, directory)[0]):
        position = directory + 2 + _ENTRY_BYTES * index
        tag, kind = struct.unpack_from(f"{order}HH", block, position)
        width = "H" if kind == _SHORT else "I"
        entries[tag] = struct.unpack_from(f"{order}{width}", block, position + 8)[0]
    return entries
