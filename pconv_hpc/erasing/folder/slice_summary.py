"""Where a slice stands, in numbers; for a finished slice these are kept in a small file."""

import contextlib
import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.erasing.folder.ledger import SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.foundation.atomic import write_json
from pconv_hpc.foundation.errors import UsageError, require
from pconv_hpc.foundation.json_files import read_json

DONE_NAME = "done.json"
_MAX_REASONS = 100
_OTHERS = "other reasons"


@dataclass(frozen=True, kw_only=True)
class SliceSummary:
    """How far a slice is: ``photos`` are ``erased + empty + set_aside + remaining``.

    Attributes:
        photos: how many there are.
        erased: objects were erased.
        empty: nothing was to be erased.
        failed: failed, and will be tried again; part of ``remaining``.
        set_aside: failed three times, and are not tried again.
        remaining: still to be done.
        classes: how many objects of each class were selected in the erased photos.
        reasons: how many of the failed photos and those set aside last failed for each reason.
        first_time: of the ledger's first row, in seconds since 1970; ``None`` before the start.
        last_time: of its last row.
        busy_seconds: how long attempts worked on it, together.
        num_torn: lines of the ledger that a crash tore.
    """

    photos: int
    erased: int = 0
    empty: int = 0
    failed: int = 0
    set_aside: int = 0
    remaining: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    first_time: float | None = None
    last_time: float | None = None
    busy_seconds: float = 0.0
    num_torn: int = 0

    def __post_init__(self) -> None:
        found = self.erased + self.empty + self.set_aside + self.remaining
        require(found == self.photos, f"{found} photos in all; expected {self.photos}")

    @property
    def is_accounted(self) -> bool:
        """Whether every photo is done or set aside."""
        return self.remaining == 0


def summarise(manifest: Manifest, number: int) -> SliceSummary:
    """Return where a slice stands.

    A finished slice is told by its ``done.json``; of others the ledger is read.
    """
    summary = read_done(manifest.slice_dir(number))
    if summary is not None:
        return summary
    return count(manifest, number, read_slice(manifest.slice_dir(number)))


def count(manifest: Manifest, number: int, ledger: SliceLedger) -> SliceSummary:
    """Count what a slice's ledger says about its photos; rows of other photos do not count."""
    counts = Counter({"photos": 0})
    classes, reasons = Counter[str](), Counter[str]()
    for row in manifest.photos(number):
        counts["photos"] += 1
        outcome = ledger.outcomes.get(row.photo)
        if outcome is None:
            counts["remaining"] += 1
        elif outcome.is_done:
            counts[outcome.status] += 1
            if outcome.status == "erased":
                classes.update(outcome.classes or {})
        else:
            counts["set_aside" if outcome.is_set_aside else "remaining"] += 1
            if outcome.failures:
                counts["failed"] += not outcome.is_set_aside
                reasons[outcome.reason] += 1
    return SliceSummary(
        **counts,
        classes=dict(classes.most_common()),
        reasons=_most_common(reasons),
        first_time=ledger.first_time,
        last_time=ledger.last_time,
        busy_seconds=round(ledger.busy_seconds, 3),
        num_torn=ledger.num_torn,
    )


def _most_common(reasons: Counter[str]) -> dict[str, int]:
    kept = dict(reasons.most_common(_MAX_REASONS))
    others = reasons.total() - sum(kept.values())
    return {**kept, _OTHERS: others} if others else kept


def write_done(slice_dir: Path, summary: SliceSummary) -> None:
    """Note that every photo of a slice is accounted for."""
    write_json(slice_dir / DONE_NAME, dataclasses.asdict(summary))


def read_done(slice_dir: Path) -> SliceSummary | None:
    """Return the summary of a finished slice; ``None`` if it is not finished."""
    with contextlib.suppress(UsageError):  # there is none, or it is damaged
        return read_json(slice_dir / DONE_NAME, SliceSummary, kind="the summary of a slice")
    return None
