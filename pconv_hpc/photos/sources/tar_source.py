"""Photos inside a tar file, or a tar of tars, read in place through an index of offsets.

ImageNet comes as one tar of a thousand tars. Unpacked it would be 1.28 million small files, more
than many quotas allow. Its headers are read once, and the place of every photo is kept in a small
file; a photo is then one read at an offset. Nothing is ever extracted.
"""

import contextlib
import io
import json
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.arrays.hdf5 import (
    get_dataset,
    open_for_reading,
    open_for_writing,
    text_attribute,
)
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.text import printable
from pconv_hpc.photos.sources.photo_source import PhotoSource, why_no_photo
from pconv_hpc.photos.sources.tar_members import regular_files, telling_damage

_INDEX_VERSION = 1

Entry = tuple[str, int, int]  # name, offset in the outer file, size
Progress = Callable[[list[Entry]], Iterable[Entry]]


@dataclass(frozen=True)
class Members:
    """The photos of an archive: names, where each begins in the file, and how long it is."""

    keys: list[str]
    offsets: np.ndarray  # int64 (N,), bytes from the beginning of the outer file
    sizes: np.ndarray  # int64 (N,), bytes
    ignored: Counter[str]


class TarSource(PhotoSource):
    """The photos of a tar file whose ``Members`` are known; see ``find_members``."""

    def __init__(self, path: Path, members: Members) -> None:
        self._path = Path(path)
        self._offsets = members.offsets
        self.name = printable(self._path.name)
        self.keys, self.sizes, self.ignored = members.keys, members.sizes, members.ignored
        self._descriptor = _open_tar(self._path)

    def read(self, index: int) -> bytes:
        size, offset = int(self.sizes[index]), int(self._offsets[index])
        data = _pread(self._path, self._descriptor, size, offset)
        if len(data) != size:
            raise PconvError(
                f"{self._path}: ends inside {self.keys[index]}; it is truncated or was changed"
            )
        return data

    def close(self) -> None:
        """Close the tar file."""
        os.close(self._descriptor)


def find_members(
    path: Path, cache: Path, world: World, *, save: bool = True, progress: Progress = iter
) -> Members:
    """Return the members of ``path`` from ``cache``, after scanning the tar file if need be.

    All ranks call this; inner tars are scanned by all of them. ``cache`` is written atomically,
    and holds for the tar's present size and time of change.

    Args:
        save: whether to write ``cache`` after a scan.
        progress: wraps the list of inner tars this rank scans, to show a bar.

    Raises:
        UsageError: ``path`` is no tar file, is compressed, damaged or truncated.
    """
    path, cache = Path(path), Path(cache)
    members = _load_members(path, cache) if world.is_first else None
    if world.broadcast(members is None):
        members = _scan(path, world, progress)
        if members is not None and save:
            with writing(cache):
                _save_members(path, cache, members)
    result: Members = world.broadcast(members)
    return result


def _scan(path: Path, world: World, progress: Progress) -> Members | None:
    """Read all headers; the result is on rank 0 alone."""
    descriptor = _open_tar(path)
    try:
        end = os.fstat(descriptor).st_size
        ignored: Counter[str] = Counter()
        outer = world.broadcast(
            list(_entries(path, descriptor, path.name, 0, end, ignored)) if world.is_first else None
        )
        inner = [entry for entry in outer if _is_tar(entry)]
        found: dict[str, tuple[int, int]] = {}

        def sort_in(key: str, offset: int, size: int) -> None:
            if reason := why_no_photo(key):
                ignored[reason] += 1
            else:
                found[key] = (offset, size)

        if world.is_first:
            for entry in outer:
                if not _is_tar(entry):
                    sort_in(*entry)
        for name, offset, size in progress(inner[world.rank :: world.size]):
            folder = name[: -len(".tar")]
            for key, start, length in _entries(path, descriptor, name, offset, size, ignored):
                sort_in(f"{folder}/{key}", start, length)
    finally:
        os.close(descriptor)
    gathered = world.gather((found, ignored))
    if gathered is None:
        return None
    everything = {key: place for part, _ in gathered for key, place in part.items()}
    keys = sorted(everything)
    places = np.array([everything[key] for key in keys], dtype=np.int64).reshape(-1, 2)
    total = sum((part for _, part in gathered), Counter[str]())
    return Members(keys, places[:, 0].copy(), places[:, 1].copy(), total)


def _is_tar(entry: Entry) -> bool:
    return entry[0].lower().endswith(".tar")


def _entries(
    path: Path, descriptor: int, name: str, start: int, size: int, ignored: Counter[str]
) -> Iterator[Entry]:
    """Yield (safe name, offset in the outer file, size) of each regular file of one tar."""
    window = io.BufferedReader(_Window(path, descriptor, start, size), buffer_size=4096)
    where = path if start == 0 else f"{path}, in {name}"
    with telling_damage(where), tarfile.open(fileobj=window, mode="r:") as tar:
        for key, member in regular_files(where, tar, end=size, ignored=ignored):
            yield key, start + member.offset_data, member.size


class _Window(io.RawIOBase):
    """A part of an open file, as a file of its own."""

    def __init__(self, path: Path, descriptor: int, start: int, size: int) -> None:
        self._path, self._descriptor, self._start, self._size = path, descriptor, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("position before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._size - self._position))
        data = _pread(self._path, self._descriptor, wanted, self._start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _pread(path: Path, descriptor: int, size: int, offset: int) -> bytes:
    """Read ``size`` bytes at ``offset``, fewer only at the end of the file."""
    parts = []
    try:
        while size > 0 and (part := os.pread(descriptor, size, offset)):
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
    except OSError as error:
        raise PconvError(f"{path}: cannot be read ({error.strerror})") from error
    return b"".join(parts)


def _open_tar(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened ({error.strerror})") from error


def _identity(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} bytes, changed {status.st_mtime_ns}"


def _checksum(*columns: np.ndarray) -> int:
    crc = 0
    for column in columns:
        crc = zlib.crc32(column.tobytes(), crc)
    return crc


def _save_members(path: Path, cache: Path, members: Members) -> None:
    # one text: names hold no line breaks, and a column would be as wide as the longest
    names = np.frombuffer("\n".join(members.keys).encode() or b"\n", dtype=np.uint8)
    with atomic.atomic_path(cache) as temporary, open_for_writing(temporary) as file:
        file.attrs["version"] = _INDEX_VERSION
        file.attrs["archive"] = _identity(path)
        file.attrs["ignored"] = json.dumps(members.ignored)
        file.attrs["crc32"] = _checksum(names, members.offsets, members.sizes)
        file["keys"], file["offsets"], file["sizes"] = names, members.offsets, members.sizes


def _load_members(path: Path, cache: Path) -> Members | None:
    """Return what ``cache`` holds, or None if it is absent, damaged or of another tar file."""
    if not cache.is_file():
        return None
    with contextlib.suppress(UsageError, ValueError), open_for_reading(cache) as file:
        current = text_attribute(file, "archive") == _identity(path)
        if not current or file.attrs.get("version") != _INDEX_VERSION:
            return None
        names, offsets, sizes = (get_dataset(file, n)[()] for n in ("keys", "offsets", "sizes"))
        if file.attrs.get("crc32") != _checksum(names, offsets, sizes):
            return None
        keys = [key for key in names.tobytes().decode().split("\n") if key]
        return Members(keys, offsets, sizes, Counter(json.loads(text_attribute(file, "ignored"))))
    return None
