"""EXIF blocks as cameras write them."""

import struct


def exif_with_strips(strips: list[bytes], order: str = "<") -> bytes:
    """Return a block whose second directory is a thumbnail of plain pixels in several strips."""
    count = len(strips)
    values_start = 8 + 6 + 2 + 2 * 12 + 4
    starts = [values_start + 8 * count + sum(map(len, strips[:index])) for index in range(count)]
    one = count == 1  # a single number lies in its entry
    starts_at, lengths_at = values_start, values_start + 4 * count
    parts = [
        b"II*\0" if order == "<" else b"MM\0*",
        struct.pack(f"{order}IHI", 8, 0, 14),
        struct.pack(f"{order}H", 2),
        struct.pack(f"{order}HHII", 0x0111, 4, count, starts[0] if one else starts_at),
        struct.pack(f"{order}HHII", 0x0117, 4, count, len(strips[0]) if one else lengths_at),
        struct.pack(f"{order}I", 0),
        struct.pack(f"{order}{2 * count}I", *starts, *map(len, strips)),
        *strips,
    ]
    return b"Exif\0\0" + b"".join(parts)


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
