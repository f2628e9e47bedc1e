"""What people say of results: accepted, rejected, to be redone; each in a file of their own.

``OUT/marks/`` holds a file for each page that was served, to which only that one appends, so that
two people mark at once on any file system. Of several marks of a photo the last one counts.
"""

import datetime
import getpass
import json
import math
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import UsageError

Word = Literal["accepted", "rejected", "redo", ""]
WORDS: tuple[Word, ...] = get_args(Word)
FOLDER_NAME = "marks"
# What a line that is no mark makes of the code that reads it as one.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Mark:
    """What somebody said of a photo.

    Attributes:
        photo: its path, as in ``photos.jsonl``.
        row: its number there.
        word: empty: a mark was taken back.
        by: who.
        time: in seconds since 1970.
    """

    photo: str
    row: int
    word: Word
    by: str
    time: float


class Marks:
    """The marks in a folder; ``refresh`` takes up what others wrote.

    Args:
        out: the folder of the results.
    """

    def __init__(self, out: Path) -> None:
        now = datetime.datetime.now(datetime.UTC)
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{socket.gethostname()}-{os.getpid()}.jsonl"
        self._folder = out / FOLDER_NAME
        self._own = self._folder / name
        self._read: dict[str, int] = {}
        self._marks: dict[int, Mark] = {}
        self._lock = threading.Lock()

    def add(self, photo: str, row: int, word: str) -> Mark:
        """Mark a photo.

        Raises:
            UsageError: that is no word for it.
            OutputError: it cannot be written.
        """
        if word not in WORDS:
            raise UsageError(f"{word!r}: expected one of {', '.join(filter(None, WORDS))}")
        mark = Mark(photo, row, word, _user(), round(time.time(), 3))
        line = f"\n{json.dumps(vars(mark))}\n".encode("ascii")
        with self._lock, writing_results(self._own):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._own, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                while line:
                    line = line[os.write(descriptor, line) :]
            finally:
                os.close(descriptor)
        self.refresh()
        return mark

    def refresh(self) -> None:
        """Read what was written since the last time."""
        with self._lock:
            for path in sorted(self._folder.glob("[0-9]*-*.jsonl")):
                try:
                    self._replay(path)
                except OSError:  # it is read the next time
                    continue

    def _replay(self, path: Path) -> None:
        with open(path, "rb") as stream:
            stream.seek(self._read.get(path.name, 0))
            for line in stream:
                if not line.endswith(b"\n"):  # torn, or still being written
                    break
                self._read[path.name] = self._read.get(path.name, 0) + len(line)
                if line.strip():
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            mark = Mark(**json.loads(line))
            is_sound = isinstance(mark.photo, str) and isinstance(mark.row, int)
            if not is_sound or mark.word not in WORDS or not math.isfinite(mark.time):
                return
        except _DAMAGE:
            return
        before = self._marks.get(mark.row)
        if before is None or before.time <= mark.time:
            self._marks[mark.row] = mark

    def of(self, row: int, photo: str) -> Mark | None:
        """Return the mark of a photo; ``None`` if it has none."""
        mark = self._marks.get(row)
        return mark if mark is not None and mark.word and mark.photo == photo else None

    def rows(self, word: str) -> tuple[int, ...]:
        """Return the rows with a mark: with this word, or with any for ``marked``."""
        with self._lock:
            return tuple(
                row
                for row, mark in self._marks.items()
                if mark.word and (word == "marked" or mark.word == word)
            )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return str(os.getuid())
