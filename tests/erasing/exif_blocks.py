"""EXIF blocks as cameras write them."""

import struct


def exif_with_thumbnail(thumbnail: bytes, order: str = "<") -> bytes:
    """Return a block of two directories: the camera's name, and where its thumbnail lies."""
    name = b"A camera\0"
    first, second = 8, 8 + 2 + 12 + 4 + 10
    data_start = second + 2 + 2 * 12 + 4
    parts = [
        b"II*\0" if order == "<" else b"MM\0*",
        struct.pack(f"{order}I", first),
        struct.pack(f"{order}HHHII", 1, 0x010F, 2, len(name), first + 2 + 12 + 4),
        struct.pack(f"{order}I", second),
        name.ljust(10, b"\0"),
        struct.pack(f"{order}H", 2),
        struct.pack(f"{order}HHII", 0x0201, 4, 1, data_start),
        struct.pack(f"{order}HHII", 0x0202, 4, 1, len(thumbnail)),
        struct.pack(f"{order}I", 0),
        thumbnail,
    ]
    return b"Exif\0\0" + b"".join(parts)
