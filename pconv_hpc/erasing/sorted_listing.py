"""All photos of a folder in one order, however many: sorted on disk, a part at a time in memory."""

import contextlib
import heapq
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.erasing.images import PHOTO_SUFFIXES
from pconv_hpc.errors import UsageError

CHUNK_ROWS = 200_000
_MAX_OPEN_RUNS = 64


@dataclass(frozen=True)
class PhotoRow:
    """One photo of a folder.

    Attributes:
        photo: its path relative to the folder, with ``/``. Bytes that are no UTF-8 are surrogate
            escapes, as ``os.fsdecode`` makes them.
        num_bytes: the size of its file; 0 where that cannot be told.
    """

    photo: str
    num_bytes: int

    def to_json(self) -> str:
        """Return the row as a line of ASCII, whatever bytes the name is made of."""
        return json.dumps({"photo": self.photo, "bytes": self.num_bytes})

    @classmethod
    def from_json(cls, line: bytes | str) -> "PhotoRow":
        """Parse what ``to_json`` returned; raises ``ValueError`` or ``TypeError`` for others."""
        value = json.loads(line)
        if not isinstance(value, dict):
            raise TypeError("not a row of photos.jsonl")
        photo, num_bytes = value.get("photo"), value.get("bytes", 0)
        if not isinstance(photo, str) or not isinstance(num_bytes, int):
            raise TypeError("not a row of photos.jsonl")
        return cls(photo, num_bytes)


def sort_key(row: PhotoRow) -> bytes:
    """Return what rows are sorted by: the bytes of the path."""
    return os.fsencode(row.photo)


def walk_photos(folder: Path, left_out: Path) -> Iterator[PhotoRow]:
    """Yield the photos of a folder and its subfolders, in no order.

    Hidden files and folders and the folder ``left_out`` are left out, and links to folders are not
    followed. A link to nothing is a photo: it is somebody's photo that cannot be read.

    Raises:
        UsageError: a folder cannot be listed.
    """
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    name = f"{prefix}{entry.name}"
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if not _is_same(entry, left_out):
                            waiting.append(f"{name}/")
                    elif entry.name.lower().endswith(PHOTO_SUFFIXES) and _is_file(entry):
                        yield PhotoRow(name, _size(entry))
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be listed ({error.strerror})") from error


def _is_same(entry: os.DirEntry[str], folder: Path) -> bool:
    return folder.exists() and folder.samefile(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    # Whoever opens a pipe or a device waits for ever. A link may lead nowhere, but not to a folder.
    return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0


class SortedRows:
    """Sorts any number of rows in a bounded amount of memory.

    Args:
        rows: any order.
        folder: where temporary files are written; a context manager removes them.
        chunk_rows: so many rows are in memory at once.
    """

    def __init__(self, rows: Iterable[PhotoRow], folder: Path, *, chunk_rows: int = CHUNK_ROWS):
        self.num_rows = 0
        self.num_bytes = 0
        self._folder = tempfile.TemporaryDirectory(prefix=".sorting-", dir=folder)
        self._numbers = itertools.count()
        self._runs: list[Path] = []
        try:
            remaining = iter(rows)
            while chunk := list(itertools.islice(remaining, chunk_rows)):
                self.num_rows += len(chunk)
                self.num_bytes += sum(row.num_bytes for row in chunk)
                self._add_run(sorted(chunk, key=sort_key))
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> "SortedRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def __iter__(self) -> Iterator[PhotoRow]:
        return _merge(self._runs)

    def _add_run(self, rows: Iterable[PhotoRow]) -> None:
        path = Path(self._folder.name) / f"{next(self._numbers)}.jsonl"
        with open(path, "w", encoding="ascii") as stream:
            stream.writelines(f"{row.to_json()}\n" for row in rows)
        self._runs.append(path)
        if len(self._runs) == _MAX_OPEN_RUNS:
            merged, self._runs = self._runs, []
            self._add_run(_merge(merged))
            for path in merged:
                path.unlink()


def _merge(runs: list[Path]) -> Iterator[PhotoRow]:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(open(path, encoding="ascii")) for path in runs]
        yield from heapq.merge(*(map(PhotoRow.from_json, s) for s in streams), key=sort_key)
