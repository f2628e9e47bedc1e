"""Rows of photos in one order, however many: sorted on disk, a part at a time in memory."""

import contextlib
import heapq
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_ROWS = 200_000
_MAX_OPEN_RUNS = 64
_PREFIX = ".sorting-"


@dataclass(frozen=True)
class PhotoRow:
    """One photo of a folder.

    Attributes:
        photo: its path relative to the folder, with ``/``. Bytes that are no UTF-8 are surrogate
            escapes, as ``os.fsdecode`` makes them.
        num_bytes: the size of its file; 0 where that cannot be told.
        tar: the tar file that it is in, the beginning of ``photo``; ``None`` for a file.
    """

    photo: str
    num_bytes: int
    tar: str | None = None

    def to_json(self) -> str:
        """Return the row as a line of ASCII, whatever bytes the name is made of."""
        tar = {} if self.tar is None else {"tar": self.tar}
        return json.dumps({"photo": self.photo, "bytes": self.num_bytes, **tar})

    @classmethod
    def from_json(cls, line: bytes | str) -> "PhotoRow":
        """Parse what ``to_json`` returned; raises ``ValueError`` or ``TypeError`` for others."""
        try:
            value = json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(value, dict):
            raise TypeError("not a row of photos.jsonl")
        photo, num_bytes = value.get("photo"), value.get("bytes", 0)
        tar = value.get("tar")
        if not isinstance(photo, str) or not isinstance(num_bytes, int):
            raise TypeError("not a row of photos.jsonl")
        if tar is not None and not (isinstance(tar, str) and photo.startswith(f"{tar}/")):
            raise ValueError("a photo outside its tar file")
        if not photo or b"\0" in os.fsencode(photo):
            raise ValueError("not the name of a file")
        return cls(photo, num_bytes, tar)


def sort_key(row: PhotoRow) -> bytes:
    """Return what rows are sorted by: the bytes of the path."""
    return os.fsencode(row.photo)


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
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
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


def remove_leftovers(folder: Path) -> None:
    """Remove what was sorted in a folder by processes that were killed."""
    for path in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def _merge(runs: list[Path]) -> Iterator[PhotoRow]:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(open(path, encoding="ascii")) for path in runs]
        yield from heapq.merge(*(map(PhotoRow.from_json, s) for s in streams), key=sort_key)
