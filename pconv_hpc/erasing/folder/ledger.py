"""The ledger: what became of each photo of a slice, in files that only grow.

Each attempt at a slice appends rows to a file of its own, so that no two machines ever write to
one file, which network file systems do not support. A row is one ``write``; what a crash tore is
skipped.
"""

import contextlib
import datetime
import json
import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.disk_space import OutputError, writing_results

MAX_FAILURES = 3

Status = Literal["begun", "left", "found", "empty", "erased", "failed", "forgiven", "redone"]
"""What a row says of a photo.

``begun``: a stage works on it; ``left``: the stage was told to stop and put it back; ``found``: the
first stage is done with it, ``classes`` counts what it selected; ``empty``: nothing to erase, done;
``erased``: done; ``failed``: ``reason``; ``forgiven``: its failures do not count any more;
``redone``: a person put another result in its place, whatever it was before: it counts as erased.
"""
_STATUSES = frozenset(get_args(Status))
_DONE = ("empty", "erased")
_ENDED = ("found", "failed", *_DONE)


class LedgerWriter(Closing):
    """Appends rows to the ledger file of one attempt; any thread may write.

    The file is made with the first row. Stages of one attempt share it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._lock = threading.Lock()

    def write(
        self,
        photo: str,
        status: Status,
        *,
        stage: str,
        reason: str = "",
        classes: Mapping[str, int] | None = None,
        copied: bool = False,
    ) -> None:
        """Append a row.

        Args:
            photo: its path relative to the folder.
            status: what became of it.
            stage: which part of the work says so.
            reason: of a failure, without the photo's name.
            classes: of a ``found`` or ``redone`` row: how many objects of each class were selected.
            copied: of an ``empty`` row: the photo was copied to the results.

        Raises:
            OutputError: it cannot be written; work that is not accounted for must not go on.
        """
        row: dict[str, Any] = {"photo": photo, "status": status, "stage": stage}
        if reason:
            row["reason"] = reason
        if classes is not None:
            row["classes"] = dict(classes)
        if copied:
            row["copied"] = True
        row["time"] = round(time.time(), 3)
        # The newline in front ends what an earlier writer of this file may have left torn.
        line = f"\n{json.dumps(row)}\n".encode("ascii")
        with self._lock:
            try:
                with writing_results(self.path):
                    self._append(line)
            except OSError as error:
                raise OutputError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._descriptor = os.open(self.path, flags, 0o666)
        while line:  # what fits is written; that the rest does not is only said then
            line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def attempt_path(slice_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the ledger file of a new attempt at a slice; the names of attempts sort by time."""
    now = datetime.datetime.now(datetime.UTC)
    job = environment.get("SLURM_JOB_ID")
    who = f"job{job}-restart{environment.get('SLURM_RESTART_COUNT') or 0}" if job else "local"
    return slice_dir / f"{now:%Y%m%dT%H%M%S.%fZ}-{who}-{socket.gethostname()}-{os.getpid()}.jsonl"


@dataclass
class Outcome:
    """What the ledger says about one photo.

    Attributes:
        status: of its last row; ``empty`` and ``erased`` are final.
        stage: of that row.
        reason: of its last failure.
        classes: how many objects of each class were selected; ``None`` before it was segmented.
        failures: how often the stage that it is at failed on it.
        copied: whether an ``empty`` photo was copied to the results.
        time: of its last row, in seconds since 1970.
        attempt: the file of that row.
    """

    status: Status = "left"
    stage: str = ""
    reason: str = ""
    classes: dict[str, int] | None = None
    failures: int = 0
    copied: bool = False
    time: float = 0.0
    attempt: str = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.status in _DONE

    @property
    def is_set_aside(self) -> bool:
        """Whether it failed so often that it is not tried again."""
        return not self.is_done and self.failures >= MAX_FAILURES

    @property
    def is_begun(self) -> bool:
        """Whether a stage works on it, or died over it."""
        return self.status == "begun"


@dataclass
class SliceLedger:
    """All attempts at one slice, replayed; ``refresh`` takes up what was written since.

    Attributes:
        outcomes: by photo; photos without a row are not there.
        num_ended: how many rows say that a stage came to an end with a photo, well or not.
    """

    slice_dir: Path
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    num_ended: int = 0
    _num_foreign: int = 0
    _read: dict[str, int] = field(default_factory=dict)  # bytes taken from each file
    _unfinished: set[str] = field(default_factory=set)  # files that end within a line
    _spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def num_torn(self) -> int:
        """Lines that are no row: torn by a crash, or not ours."""
        return self._num_foreign + len(self._unfinished)

    @property
    def first_time(self) -> float | None:
        """When the first row was written, in seconds since 1970; ``None`` without rows."""
        return min((first for first, _ in self._spans.values()), default=None)

    @property
    def last_time(self) -> float | None:
        """When the last row was written."""
        return max((last for _, last in self._spans.values()), default=None)

    @property
    def busy_seconds(self) -> float:
        """The time from the first to the last row of each attempt, summed."""
        return sum(last - first for first, last in self._spans.values())

    def refresh(self) -> None:
        """Replay the rows that were appended since the last time."""
        try:
            names = sorted(path.name for path in self.slice_dir.glob("[0-9]*-*.jsonl"))
        except OSError:
            return
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._replay(name)

    def _replay(self, name: str) -> None:
        self._unfinished.discard(name)
        with open(self.slice_dir / name, "rb") as stream:
            stream.seek(self._read.get(name, 0))
            for line in stream:
                if not line.endswith(b"\n"):  # torn, or still being written
                    self._unfinished.add(name)
                    break
                self._read[name] = self._read.get(name, 0) + len(line)
                if line.strip():
                    self._take(name, line)

    def _take(self, name: str, line: bytes) -> None:
        try:
            row = _parse_row(line)
        except _DAMAGE:
            self._num_foreign += 1
            return
        self.num_ended += row.status in _ENDED
        first, last = self._spans.get(name, (row.time, row.time))
        self._spans[name] = min(first, row.time), max(last, row.time)
        outcome = self.outcomes.setdefault(row.photo, Outcome())
        if outcome.is_done and row.status != "redone":
            return
        outcome.status, outcome.stage, outcome.time = row.status, row.stage, row.time
        outcome.attempt = name
        if row.status == "redone":
            outcome.status, outcome.classes, outcome.failures = "erased", row.classes, 0
        elif row.status == "found":
            outcome.classes, outcome.failures = row.classes, 0
        elif row.status == "failed":
            outcome.failures += 1
            outcome.reason = row.reason
        elif row.status == "forgiven":
            outcome.failures = 0
        elif row.status == "empty":
            outcome.copied = row.copied


@dataclass(frozen=True, kw_only=True)
class _Row:
    photo: str
    status: Status
    stage: str
    reason: str
    classes: dict[str, int]
    copied: bool
    time: float


# What a line that is no row makes of the code that reads it as one.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def _parse_row(line: bytes) -> _Row:
    value = json.loads(line)
    row = _Row(
        photo=value["photo"],
        status=value["status"],
        stage=str(value["stage"]),
        reason=str(value.get("reason", "")),
        classes={str(key): int(number) for key, number in value.get("classes", {}).items()},
        copied=bool(value.get("copied", False)),
        time=float(value["time"]),
    )
    if not isinstance(row.photo, str) or row.status not in _STATUSES or not math.isfinite(row.time):
        raise ValueError("not a row of a ledger")
    return row


def read_slice(slice_dir: Path) -> SliceLedger:
    """Replay all attempts at a slice; a slice that was never begun has an empty ledger."""
    ledger = SliceLedger(slice_dir)
    ledger.refresh()
    return ledger
