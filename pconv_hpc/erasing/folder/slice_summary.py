"""Where a slice stands, in numbers; for a finished slice these are kept in a small file."""

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pconv_hpc.erasing.folder.ledger import SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.foundation.atomic import write_json

DONE_NAME = "done.json"
_MAX_REASONS = 100
_OTHERS = "other reasons"
# What a file that is no summary makes of the code that reads it as one.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


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
    counts = Counter[str]()
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
        photos=counts["photos"],
        erased=counts["erased"],
        empty=counts["empty"],
        failed=counts["failed"],
        set_aside=counts["set_aside"],
        remaining=counts["remaining"],
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
    try:
        value = json.loads((slice_dir / DONE_NAME).read_text(encoding="utf-8"))
        return _parse(value)
    except (*_DAMAGE, OSError):
        return None


def _parse(value: Mapping[str, Any]) -> SliceSummary:
    for name in ("photos", "erased", "empty", "failed", "set_aside", "remaining", "num_torn"):
        if not isinstance(value.get(name), int):
            raise TypeError(f"{name} is no number")
    for name in ("classes", "reasons"):
        if not all(isinstance(number, int) for number in value[name].values()):
            raise TypeError(f"{name} are no numbers by name")
    for name in ("first_time", "last_time", "busy_seconds"):
        if value[name] is not None and not math.isfinite(value[name]):
            raise ValueError(f"{name} is no time")
    return SliceSummary(**value)
