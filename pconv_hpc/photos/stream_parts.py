"""Parts of a file, read as if they were one file of their own."""

import io
from collections.abc import Sequence
from typing import IO

Part = tuple[int, int]  # where it begins and ends in the file
_MAX_PARTS = 100_000  # no program cuts a file up more finely


def add_part(parts: list[Part], start: int, stop: int) -> None:
    """Append a part, or lengthen the last one if it ends where this one begins.

    Raises:
        ValueError: there are 100,000 already.
    """
    if parts and parts[-1][1] == start:
        parts[-1] = (parts[-1][0], stop)
    elif len(parts) < _MAX_PARTS:
        parts.append((start, stop))
    else:
        raise ValueError(f"more than {_MAX_PARTS:,} pieces")


def open_parts(stream: IO[bytes], parts: Sequence[Part]) -> IO[bytes]:
    """Return a stream of the parts of a seekable ``stream``, one after the other."""
    return io.BufferedReader(_Parts(stream, parts))


class _Parts(io.RawIOBase):
    def __init__(self, stream: IO[bytes], parts: Sequence[Part]) -> None:
        self._stream = stream
        self._parts = parts
        self._index = 0  # the part that the next byte lies in, or an earlier one
        self._part_position = 0  # where that part begins among all bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += sum(stop - start for start, stop in self._parts)
        self._position = max(offset, 0)
        if self._position < self._part_position:
            self._index = self._part_position = 0
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        while self._index < len(self._parts):
            start, stop = self._parts[self._index]
            offset = self._position - self._part_position
            if offset < stop - start:
                self._stream.seek(start + offset)
                data = self._stream.read(min(len(buffer), stop - start - offset))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
            self._part_position += stop - start
            self._index += 1
        return 0
