"""How far a folder is that is being erased: its ledgers and Slurm's queue, slice by slice."""

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.cluster.folder_lock import LOCK_NAME, living_holder, read_holder
from pconv_hpc.erasing.folder.ledger import SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, read_manifest
from pconv_hpc.erasing.folder.slice_summary import SliceSummary, count, read_done
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.jobs.erase_array.array_jobs import Element, logs_dir, noted_jobs, waiting_and_running

RECENT_S = 600.0
_PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
_LOG_TAIL_BYTES = 1 << 16
_SUMMED = ("photos", "erased", "empty", "failed", "set_aside", "remaining", "num_torn")


@dataclass(frozen=True, kw_only=True)
class EraseStatus:
    """Where the work on a folder stands; ``None`` where there is nothing to tell.

    Attributes:
        out: the folder of the results.
        images: the folder of the photos.
        empty_setting: whether photos with nothing to erase are copied or skipped.
        photos: how many; ``erased + empty + set_aside + remaining``.
        erased: objects were erased.
        empty: nothing was to be erased.
        failed: failed, and will be tried again; part of ``remaining``.
        set_aside: failed three times, and are not tried again.
        remaining: still to be done.
        classes: how many objects of each class were erased.
        reasons: how many photos failed for which reason.
        num_slices: how many slices there are.
        finished: slices with every photo accounted for and all results written.
        at_work: slices that a task or a process works on now.
        waiting: slices that wait in Slurm's queue.
        rerun: slices that are neither finished, nor at work, nor in the queue.
        job_ids: of the arrays submitted for this folder.
        slurm: how many elements of those are in which state; ``None`` where no Slurm answers.
        images_per_second: of all tasks together, in the last ten minutes.
        images_per_task_hour: of one task at work, over all attempts.
        seconds_left: at ``images_per_second``, while anything is at work.
        last_time: of the last row of a ledger, in seconds since 1970.
        last_error: the last failure's reason, or what a task's log ends with.
        num_torn: lines of ledgers that crashes tore.
    """

    out: str
    images: str
    empty_setting: str
    photos: int
    erased: int
    empty: int
    failed: int
    set_aside: int
    remaining: int
    classes: dict[str, int]
    reasons: dict[str, int]
    num_slices: int
    finished: int
    at_work: list[int]
    waiting: list[int]
    rerun: list[int]
    job_ids: list[int]
    slurm: dict[str, int] | None
    images_per_second: float | None
    images_per_task_hour: float | None
    seconds_left: float | None
    last_time: float | None
    last_error: str | None
    num_torn: int

    @property
    def done(self) -> int:
        """How many photos are done."""
        return self.erased + self.empty

    @property
    def state(self) -> str:
        """The whole in one word or two."""
        if self.finished == self.num_slices:
            return "finished"
        if self.at_work:
            return "at work"
        if self.waiting:
            return "in the queue"
        if self.failed and self.failed == self.remaining:
            return "some failed"
        return "ended early" if self.last_time else "not begun"

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON's types."""
        return {"state": self.state, "done": self.done, **dataclasses.asdict(self)}


class _Totals:
    """Sums over slices; holds no more than one slice's ledger at a time."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.numbers = Counter[str]()
        self.classes = Counter[str]()
        self.reasons = Counter[str]()
        self.busy_seconds = 0.0
        self.last_time: float | None = None
        self.recent: list[float] = []
        self.failure: tuple[float, str] = (0.0, "")

    def add(self, manifest: Manifest, number: int) -> bool:
        """Take up one slice; return whether it is finished."""
        folder = manifest.slice_dir(number)
        num_photos = manifest.slices[number].num_photos
        done = read_done(folder)
        if not folder.is_dir():
            summary = SliceSummary(photos=num_photos, remaining=num_photos)
        elif done is None or (done.last_time or 0) > self._now - RECENT_S:
            ledger = read_slice(folder)
            self._add_times(ledger)
            summary = done or count(manifest, number, ledger)
        else:
            summary = done
        self.numbers.update({name: getattr(summary, name) for name in _SUMMED})
        self.classes.update(summary.classes)
        self.reasons.update(summary.reasons)
        self.busy_seconds += summary.busy_seconds
        if summary.last_time is not None:
            self.last_time = max(self.last_time or 0, summary.last_time)
        # Photos of a tar file are accounted for before their results are in one.
        return done is not None or not num_photos

    def _add_times(self, ledger: SliceLedger) -> None:
        for outcome in ledger.outcomes.values():
            if outcome.is_done and outcome.time > self._now - RECENT_S:
                self.recent.append(outcome.time)
            if outcome.status == "failed":
                self.failure = max(self.failure, (outcome.time, outcome.reason))

    @property
    def images_per_second(self) -> float | None:
        """The speed in the last minutes, from the first photo done in them."""
        if len(self.recent) < 2:
            return None
        seconds = self._now - min(self.recent)
        return (len(self.recent) - 1) / seconds if seconds > 0 else None


def read_erase_status(out: Path) -> EraseStatus:
    """Read where the work on a folder stands; changes nothing.

    Raises:
        UsageError: it has no manifest.
    """
    manifest = read_manifest(out)
    totals = _Totals(time.time())
    unfinished = [k for k in range(manifest.num_slices) if not totals.add(manifest, k)]
    jobs = noted_jobs(manifest.out)
    elements = _ask_slurm(manifest, unfinished, [job.job_id for job in jobs])
    at_work, waiting = _busy_slices(manifest, unfinished, elements, {job.job_id for job in jobs})
    remaining, speed = totals.numbers["remaining"], totals.images_per_second
    done = totals.numbers["erased"] + totals.numbers["empty"]
    slurm = None if elements is None else Counter(element.state for element in elements)
    return EraseStatus(
        out=str(out),
        images=str(manifest.images),
        empty_setting=manifest.settings.empty,
        **{name: totals.numbers[name] for name in _SUMMED},
        classes=dict(totals.classes.most_common()),
        reasons=dict(totals.reasons.most_common()),
        num_slices=manifest.num_slices,
        finished=manifest.num_slices - len(unfinished),
        at_work=sorted(at_work),
        waiting=sorted(waiting),
        rerun=[k for k in unfinished if k not in at_work and k not in waiting],
        job_ids=[job.job_id for job in jobs],
        slurm=None if slurm is None else dict(slurm),
        images_per_second=speed,
        images_per_task_hour=3600 * done / totals.busy_seconds if totals.busy_seconds else None,
        seconds_left=remaining / speed if speed and at_work else None,
        last_time=totals.last_time,
        last_error=_last_error(manifest.out, totals),
    )


def _ask_slurm(
    manifest: Manifest, unfinished: Sequence[int], job_ids: Sequence[int]
) -> list[Element] | None:
    """Return what Slurm says of the folder's arrays and of those who hold locks in it."""
    holders = (read_holder(manifest.slice_dir(number)) for number in unfinished)
    locking = [holder.job_id for holder in holders if holder is not None and holder.job_id]
    try:
        return waiting_and_running([*job_ids, *locking])
    except PconvError:  # no Slurm on this machine, or it does not answer
        return None


def _busy_slices(
    manifest: Manifest,
    unfinished: Sequence[int],
    elements: Sequence[Element] | None,
    array_ids: set[int],
) -> tuple[set[int], set[int]]:
    """Return the slices somebody works on, and those that wait in Slurm's queue."""
    states: dict[int, set[bool]] = {}
    for element in elements or ():
        if element.array_id in array_ids:
            states.setdefault(element.index, set()).add(element.state not in _PENDING)
    running_jobs = {e.job_id for e in elements or () if e.state not in _PENDING}
    at_work, waiting = set(), set()
    for number in unfinished:
        folder = manifest.slice_dir(number)
        holder = read_holder(folder) if (folder / LOCK_NAME).exists() else None
        if holder is None:
            holds = False
        elif holder.job_id and elements is not None:
            holds = holder.job_id in running_jobs
        else:
            holds = living_holder(folder) is not None
        if holds or True in states.get(number, ()):
            at_work.add(number)
        elif number in states:
            waiting.add(number)
    return at_work, waiting


def _last_error(out: Path, totals: _Totals) -> str | None:
    """Return the last failure's reason, or the last error in the newest of the tasks' logs."""
    when, reason = totals.failure
    logs = [(path.stat().st_mtime, path) for path in logs_dir(out).glob("*.out")]
    newest = max(logs, default=None)
    if newest is not None and newest[0] >= when:
        with open(newest[1], "rb") as stream:
            stream.seek(max(0, newest[1].stat().st_size - _LOG_TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.startswith("error: ")), None)
        if said is not None:
            return said.removeprefix("error: ")
    return reason or next(iter(totals.reasons), None)
