"""Files made of boxes (JPEG 2000, JPEG XL): a length, four letters, content."""

import struct
from collections.abc import Iterator


def boxes(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of the content of each box, until they make no sense."""
    while start + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        first = start + 8
        if length == 1 and start + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, first)
            first += 8
        end = len(data) if length == 0 else start + length
        if end < first or end > len(data):
            return
        yield name, first, end
        start = end


def box(name: bytes, content: bytes | bytearray) -> bytes:
    """Return a box with its header."""
    if len(content) + 8 < 1 << 32:
        return struct.pack(">I4s", len(content) + 8, name) + content
    return struct.pack(">I4sQ", 1, name, len(content) + 16) + content
