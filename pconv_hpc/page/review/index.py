"""All photos of an erase folder and how far each is, in a few bytes for each, however many."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from pconv_hpc.erasing.folder.ledger import Outcome, SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, read_manifest
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.sorted_listing import PhotoRow

State = Literal["waiting", "erased", "empty", "failed", "set aside"]
STATES: tuple[State, ...] = get_args(State)
Order = Literal["name", "newest", "oldest", "most"]
ORDERS: tuple[Order, ...] = get_args(Order)
Key = TypeVar("Key")
_LOOK_AGAIN_S = 2.0
_KEPT_SLICES = 8  # whose photos and ledgers stay in memory


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which photos are wanted; empty: any.

    Attributes:
        state: how far they are.
        object_class: something of this class was selected in them.
        reason: what they failed for.
        rows: only these.
    """

    state: str = ""
    object_class: str = ""
    reason: str = ""
    rows: tuple[int, ...] | None = None


class FolderIndex:
    """The photos of an erase folder by the numbers of their rows in ``photos.jsonl``.

    Slices are read on a thread, one after the other, and again when their ledgers have grown; of
    each photo a few numbers are kept.

    Args:
        out: the folder of the results.

    Raises:
        UsageError: it has no manifest.
    """

    def __init__(self, out: Path) -> None:
        self.manifest: Manifest = read_manifest(out)
        count = self.manifest.num_photos
        self._states = np.zeros(count, dtype=np.uint8)
        self._times = np.zeros(count, dtype=np.float64)
        self._objects = np.zeros(count, dtype=np.uint16)  # how many were selected
        self._classes = np.zeros(count, dtype=np.uint32)  # which combination of classes
        self._reasons = np.zeros(count, dtype=np.uint32)
        self._combinations: dict[tuple[str, ...], int] = {(): 0}
        self._reason_numbers: dict[str, int] = {"": 0}
        self._firsts = np.array([part.first for part in self.manifest.slices], dtype=np.int64)
        self._photos: dict[int, list[PhotoRow]] = {}
        self._seen: dict[int, tuple[int, int]] = {}  # files and bytes of a slice's ledger
        self._ledgers: dict[int, SliceLedger] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self.num_read = 0
        self.generation = 0
        threading.Thread(target=self._keep_reading, daemon=True).start()

    @property
    def num_slices(self) -> int:
        """How many slices there are."""
        return self.manifest.num_slices

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()

    def _keep_reading(self) -> None:
        while not self._stopped.is_set():
            for number in range(self.num_slices):
                if self._stopped.is_set():
                    return
                if self._seen.get(number) != (size := self._size_of(number)):
                    self._take(number)
                    self._seen[number] = size
            self.num_read = self.num_slices
            self._stopped.wait(_LOOK_AGAIN_S)

    def _size_of(self, number: int) -> tuple[int, int]:
        """Return how many files a slice's ledger has, and their bytes."""
        try:
            with os.scandir(self.manifest.slice_dir(number)) as entries:
                sizes = [entry.stat().st_size for entry in entries if entry.name.endswith(".jsonl")]
        except OSError:
            return 0, 0
        return len(sizes), sum(sizes)

    def _take(self, number: int) -> None:
        part = self.manifest.slices[number]
        rows = list(self.manifest.photos(number))
        outcomes = read_slice(self.manifest.slice_dir(number)).outcomes
        with self._lock:
            self._ledgers.pop(number, None)
            for row, photo in enumerate(rows, start=part.first):
                if (outcome := outcomes.get(photo.photo)) is not None:
                    self._note(row, outcome)
            self.num_read = max(self.num_read, number + 1)
            self.generation += 1

    def _note(self, row: int, outcome: Outcome) -> None:
        classes = outcome.classes or {}
        self._states[row] = STATES.index(state_of(outcome))
        self._times[row] = outcome.time
        self._objects[row] = min(sum(classes.values()), 65535)
        self._classes[row] = _number(self._combinations, tuple(sorted(classes)))
        reason = outcome.reason if state_of(outcome) in ("failed", "set aside") else ""
        self._reasons[row] = _number(self._reason_numbers, reason)

    def counts(self) -> dict[str, int]:
        """Return how many of the photos read so far are in which state."""
        with self._lock:
            numbers = np.bincount(self._states, minlength=len(STATES))
        return dict(zip(STATES, numbers.tolist(), strict=True))

    def classes(self) -> list[str]:
        """Return the classes of which something was selected anywhere."""
        return sorted({name for combination in tuple(self._combinations) for name in combination})

    def reasons(self) -> list[str]:
        """Return what photos failed for."""
        return sorted(filter(None, tuple(self._reason_numbers)))

    def rows(self, wanted: Filter, order: Order) -> Sequence[int] | np.ndarray:
        """Return the numbers of the rows that are wanted, in order.

        Rows of slices that were not read yet count as waiting. ``most``: by the number of
        objects that were selected.
        """
        is_plain = wanted == Filter()
        if is_plain and order == "name":
            return range(self.manifest.num_photos)
        with self._lock:
            kept = np.ones(self.manifest.num_photos, dtype=bool)
            if wanted.rows is not None:
                kept[:] = False
                kept[np.array(wanted.rows, dtype=np.int64)] = True
            if wanted.state:
                kept &= self._states == STATES.index(wanted.state)
            if wanted.object_class:
                holding = [k for c, k in self._combinations.items() if wanted.object_class in c]
                kept &= np.isin(self._classes, holding)
            if wanted.reason:
                kept &= self._reasons == self._reason_numbers.get(wanted.reason, -1)
            rows = np.flatnonzero(kept)
            if order == "newest":
                return rows[np.argsort(-self._times[rows], kind="stable")]
            if order == "oldest":
                times = np.where(self._times[rows] > 0, self._times[rows], np.inf)
                return rows[np.argsort(times, kind="stable")]
            if order == "most":
                return rows[np.argsort(-self._objects[rows].astype(np.int64), kind="stable")]
            return rows

    def photo(self, row: int) -> PhotoRow:
        """Return what ``photos.jsonl`` says of a row.

        Raises:
            UsageError: there is no such row.
        """
        if not 0 <= row < self.manifest.num_photos:
            raise UsageError(f"row {row}: there are {self.manifest.num_photos}")
        number = self.slice_of(row)
        with self._lock:
            if number not in self._photos:
                self._photos[number] = list(self.manifest.photos(number))
                _keep_newest(self._photos)
            return self._photos[number][row - self.manifest.slices[number].first]

    def time(self, row: int) -> float:
        """Return when something was last noted of a row, as far as that was read."""
        return float(self._times[row])

    def slice_of(self, row: int) -> int:
        """Return the slice that a row is in."""
        number = int(np.searchsorted(self._firsts, row, side="right")) - 1
        while not self.manifest.slices[number].num_photos:  # several begin there, and all but one
            number -= 1  # of them are empty
        return number

    def outcome(self, row: int) -> Outcome:
        """Return what the ledger says of a row now."""
        number = self.slice_of(row)
        with self._lock:
            ledger = self._ledgers.pop(number, None)
            if ledger is None:
                ledger = SliceLedger(self.manifest.slice_dir(number))
            self._ledgers[number] = ledger
            _keep_newest(self._ledgers)
            ledger.refresh()
            outcome = ledger.outcomes.get(self.photo(row).photo)
            if outcome is None:
                return Outcome()
            self._note(row, outcome)
            return outcome


def state_of(outcome: Outcome) -> State:
    """Return how far a photo is, in one word or two."""
    if outcome.status == "erased":
        return "erased"
    if outcome.status == "empty":
        return "empty"
    if outcome.is_set_aside:
        return "set aside"
    return "failed" if outcome.failures else "waiting"


def _number(numbers: dict[Key, int], key: Key) -> int:
    return numbers.setdefault(key, len(numbers))


def _keep_newest(parts: dict[int, Any]) -> None:
    while len(parts) > _KEPT_SLICES:
        del parts[next(iter(parts))]
