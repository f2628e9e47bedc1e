"""EXIF of pixels that are stored upright."""

import struct

_ENTRY_BYTES = 12
_ORIENTATION, _SHORT = 0x0112, 3


def upright_exif(exif: bytes) -> bytes:
    """Return a TIFF block whose orientation is 1; one that has none or is broken stays as it is."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    block = bytearray(exif)
    try:
        if order is None:
            return exif
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for position in range(first + 2, first + 2 + _ENTRY_BYTES * count, _ENTRY_BYTES):
            if struct.unpack_from(f"{order}HH", block, position) == (_ORIENTATION, _SHORT):
                struct.pack_into(f"{order}H", block, position + 8, 1)
    except struct.error:
        return exif
    return bytes(block)
