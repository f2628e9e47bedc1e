"""The segments in front of a JPEG's pixels, and the file without those that pixels do not need."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from pconv_hpc.photos.stream_parts import Part, add_part, open_parts

SIGNATURE = b"\xff\xd8\xff"
END = b"\xff\xd9"
APP0, APP1, APP2, APP11, APP13, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
JFIF, JFIF_BYTES = b"JFIF\0", 12  # what follows is a thumbnail
TIFF_HEADERS = (b"II*\0", b"MM\0*")
MAX_BODY_BYTES = 65533
_SCAN = 0xDA
_WITHOUT_BODY = frozenset((0x01, *range(0xD0, 0xDA)))
_FIRST = 0xC0  # of the markers of segments
_MAX_SEGMENTS = 100_000
_MAX_CANDIDATES, _MAX_EMBEDDED_SEGMENTS = 1000, 64
# What tells colours and how a photo is turned, by marker: how it begins, and its shortest length.
_NEEDED = {
    APP0: (JFIF, JFIF_BYTES),
    APP1: (EXIF, len(EXIF)),
    APP2: (ICC, len(ICC) + 2),
    APP14: (b"Adobe", 12),
}


Metadata = tuple[int, bytes]  # a segment's marker and body


class Segment(NamedTuple):
    """Where a segment lies, and how its body begins."""

    marker: int
    start: int
    body_start: int
    stop: int
    head: bytes

    @property
    def is_metadata(self) -> bool:
        """Whether pixels can be decoded without it, though perhaps not their colours."""
        return APP0 <= self.marker <= APP0 + 15 or self.marker == COMMENT


def read_segments(stream: IO[bytes]) -> Iterator[Segment]:
    """Yield the segments of a JPEG from behind its first marker to its first scan, included.

    Bytes between segments are passed over, as decoders do. A file that ends early has no scan.

    Raises:
        ValueError: it has more segments than any photo.
    """
    position = 2
    for _ in range(_MAX_SEGMENTS):
        stream.seek(position)
        window = stream.read(4096)
        mark = _next_marker(window)
        if mark is None:
            if len(window) < 2:
                return
            position += len(window) - 1  # the last byte may be half of a marker
            continue
        start, marker = position + mark, window[mark + 1]
        if marker == END[1]:
            return
        if marker in _WITHOUT_BODY:
            position = start + 2
            continue
        stream.seek(start + 2)
        length = stream.read(2)
        if len(length) < 2:
            return
        stop = start + 2 + struct.unpack(">H", length)[0]
        yield Segment(marker, start, start + 4, stop, stream.read(40)[: max(stop - start - 4, 0)])
        if marker == _SCAN:
            return
        position = max(stop, start + 2)
    raise ValueError(f"more than {_MAX_SEGMENTS:,} segments")


def bare_jpeg(stream: IO[bytes]) -> IO[bytes]:
    """Return a JPEG without what pixels, colours and orientation do not need.

    Comments, XMP, previews and lists of further pictures go, and whatever else may be broken in
    a sound photo. A file in which no scan is found is returned as it is.

    Raises:
        ValueError: it has more segments than any photo.
    """
    parts: list[Part] = [(0, 2)]
    num_exif = 0
    for segment in read_segments(stream):
        if segment.marker == _SCAN:
            add_part(parts, segment.start, stream.seek(0, 2))
            return open_parts(stream, parts)
        if segment.is_metadata:
            head, shortest = _NEEDED.get(segment.marker, (b"", MAX_BODY_BYTES + 1))
            if not segment.head.startswith(head) or segment.stop - segment.body_start < shortest:
                continue
            if segment.marker == APP1:
                if num_exif and not continues_exif(segment.head):
                    continue
                num_exif += 1
        add_part(parts, segment.start, segment.stop)
    stream.seek(0)
    return stream


def metadata_of(data: bytes) -> list[Metadata]:
    """Return the segments of a JPEG that its pixels can be decoded without."""
    segments = read_segments(io.BytesIO(data))
    return [(s.marker, data[s.body_start : s.stop]) for s in segments if s.is_metadata]


def with_metadata(jpeg: bytes, metadata: Sequence[Metadata]) -> bytes:
    """Return a JPEG with segments in front of all others."""
    parts = [jpeg[:2]]
    for marker, body in metadata:
        parts += [struct.pack(">BBH", 0xFF, marker, 2 + len(body)), body]
    return b"".join([*parts, jpeg[2:]])


def continues_exif(head: bytes) -> bool:
    """Return whether an EXIF segment that is not the first continues it, and is no second block."""
    return not head.startswith(TIFF_HEADERS, len(EXIF))


def embedded_jpegs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where JPEGs begin and end within other data; one that its end cuts off counts."""
    start = data.find(SIGNATURE)
    for _ in range(_MAX_CANDIDATES):
        if start < 0:
            return
        scan, stop = _first_scan(data, start + 2), start + 1
        if scan is not None:
            end = data.find(END, scan)
            stop = len(data) if end < 0 else end + len(END)
            yield start, stop
        start = data.find(SIGNATURE, stop)


def _first_scan(data: bytes, position: int) -> int | None:
    """Return where the first scan is, if nothing but segments lies in front of it."""
    for _ in range(_MAX_EMBEDDED_SEGMENTS):
        if position + 4 > len(data) or data[position] != 0xFF or data[position + 1] < _FIRST:
            return None
        marker, length = struct.unpack_from(">xBH", data, position)
        if marker == _SCAN:
            return position
        if marker in _WITHOUT_BODY or length < 2:
            return None
        position += 2 + length
    return None


def _next_marker(window: bytes) -> int | None:
    """Return where a marker begins in ``window``."""
    position = window.find(b"\xff")
    while 0 <= position < len(window) - 1:
        if window[position + 1] not in (0x00, 0xFF):
            return position
        position = window.find(b"\xff", position + 1)
    return None
