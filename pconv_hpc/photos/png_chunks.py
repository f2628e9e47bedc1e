"""The chunks of a PNG, and the file without those that pixels do not need."""

import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from pconv_hpc.photos.stream_parts import Part, add_part, open_parts

SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXIF_TEXT = b"Raw profile type exif\0"  # ImageMagick's, from before there were eXIf chunks
# Pixels, what is transparent, how the photo is turned, whether it is animated.
_NEEDED = frozenset(b"IHDR PLTE IDAT IEND tRNS eXIf acTL fcTL fdAT".split())
_TRANSPARENT_COLOR_BYTES = {0: 2, 2: 6}  # by the colour type: gray, RGB
_ANCILLARY = 0x20  # the bit of a name's first byte that is 0 where no reader may pass over it
_MAX_TEXT_BYTES = 1 << 20
_MAX_DATA_BYTES = 64 << 20
_MAX_CHUNKS = 1_000_000


class Chunk(NamedTuple):
    """Where a chunk lies; ``stop`` is behind its check sum."""

    name: bytes
    start: int
    stop: int

    @property
    def num_bytes(self) -> int:
        """The length of its data."""
        return self.stop - self.start - 12


def read_chunks(stream: IO[bytes]) -> Iterator[Chunk]:
    """Yield the chunks of a PNG up to IEND; one that the file's end cuts off is the last.

    Raises:
        ValueError: it has more chunks than any photo.
    """
    position = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        header = stream.read(8)
        if len(header) < 8:
            return
        (length,) = struct.unpack(">I", header[:4])
        chunk = Chunk(header[4:], position, position + 12 + length)
        yield chunk
        if chunk.name == b"IEND":
            return
        position = chunk.stop
    raise ValueError(f"more than {_MAX_CHUNKS:,} chunks")


def chunk_data(stream: IO[bytes], chunk: Chunk) -> bytes | None:
    """Return the data of an undamaged chunk of at most 64 MiB, ``None`` for any other."""
    if chunk.num_bytes > _MAX_DATA_BYTES:
        return None
    stream.seek(chunk.start + 4)
    body = stream.read(4 + chunk.num_bytes)
    check = stream.read(4)
    if len(check) < 4 or zlib.crc32(body) != struct.unpack(">I", check)[0]:
        return None
    return body[4:]


def inflate(data: bytes, max_bytes: int) -> bytes | None:
    """Return what zlib had compressed, ``None`` if it is damaged or longer than ``max_bytes``."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, max_bytes)
    except zlib.error:
        return None
    return text if stream.eof else None


def bare_png(stream: IO[bytes]) -> IO[bytes]:
    """Return a PNG without what pixels, their transparency and orientation do not need.

    Of ancillary chunks only undamaged ones stay: a profile that is cut short, megabytes of text or
    a wrong check sum do not make a photo unreadable.

    Raises:
        ValueError: it has more chunks than any photo.
    """
    parts: list[Part] = [(0, len(SIGNATURE))]
    stream.seek(len(SIGNATURE) + 17)
    color_type = int.from_bytes(stream.read(1))
    has_exif_text = False
    for chunk in read_chunks(stream):
        is_critical = not chunk.name[0] & _ANCILLARY
        is_sound = is_critical or chunk.name == b"fdAT"
        if not is_sound and chunk.name in _NEEDED:
            expected = _TRANSPARENT_COLOR_BYTES.get(color_type)
            is_short = chunk.name == b"tRNS" and chunk.num_bytes != (expected or chunk.num_bytes)
            is_sound = not is_short and chunk_data(stream, chunk) is not None
        elif not is_sound and not has_exif_text:
            is_sound = has_exif_text = _is_exif_text(stream, chunk)
        if is_sound:
            add_part(parts, chunk.start, chunk.stop)
    return open_parts(stream, parts)


def _is_exif_text(stream: IO[bytes], chunk: Chunk) -> bool:
    """Return whether it is EXIF as ImageMagick writes it, and no more text than Pillow reads."""
    if chunk.name not in (b"tEXt", b"zTXt") or chunk.num_bytes > _MAX_TEXT_BYTES:
        return False
    data = chunk_data(stream, chunk) or b""
    if not data.startswith(EXIF_TEXT):
        return False
    packed = data[len(EXIF_TEXT) + 1 :]  # behind the method of compression
    return chunk.name == b"tEXt" or inflate(packed, _MAX_TEXT_BYTES) is not None
