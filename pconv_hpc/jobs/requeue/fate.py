"""What Slurm is doing with a job that was stopped: whether it is ended for good or goes on.

Signals do not tell. Slurm sends TERM for ``scancel``, for preemption, at the time limit, and when
it requeues a job; sites differ in whether USR2 comes before it. The job's record does tell.
"""

import enum
from collections.abc import Mapping
from datetime import datetime

from pconv_hpc.cluster.slurm_queries import (
    SlurmSilentError,
    job_record,
    partition_grace_seconds,
)

# Until they are over, nobody has ended the job.
_AT_WORK = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "CONFIGURING", "RESIZING", "SIGNALING"})
_ENDED_BY_NOBODY = frozenset({"TimeLimit", "NodeDown", "SystemFailure"})
_NO_TIME = ("", "None", "Unknown", "N/A")
_SAME_MOMENT_S = 1.0  # between two times that Slurm rounds to seconds


class Fate(enum.Enum):
    """What becomes of a job."""

    RUNNING = "Slurm lets it run"
    PREEMPTED = "another job needs its nodes"
    OUT_OF_TIME = "its time limit is reached, or a node is lost"
    REQUEUED = "Slurm has put it back into the queue"
    CANCELLED = "somebody has ended it"
    UNKNOWN = "Slurm does not say"

    @property
    def is_blameless(self) -> bool:
        """Whether a start without progress says nothing about the next one."""
        return self in (Fate.PREEMPTED, Fate.REQUEUED)


def fate_of(
    record: Mapping[str, str] | None,
    *,
    restart_count: int,
    is_told_to_end: bool,
    grace_seconds: float = 0.0,
) -> Fate:
    """Return what becomes of a job; where its record leaves that open, it is not cancelled.

    Args:
        record: the fields of ``scontrol show job``; ``None`` if Slurm knows no such job.
        restart_count: of the start that asks.
        is_told_to_end: whether TERM reached the batch script itself. While Slurm lets the job run
            and does not preempt it, only ``scancel --signal`` sends it there.
        grace_seconds: the ``GraceTime`` of the job's partition, 0 if that is not known.
    """
    if record is None:
        return Fate.UNKNOWN
    if int(record.get("Restarts") or 0) > restart_count:
        return Fate.REQUEUED
    if record.get("Reason") in _ENDED_BY_NOBODY:
        return Fate.OUT_OF_TIME
    is_preempted = record.get("PreemptTime", "None") not in _NO_TIME
    state = record.get("JobState", "")
    if state in _AT_WORK and not is_preempted:
        return Fate.CANCELLED if is_told_to_end else Fate.RUNNING
    if state in _AT_WORK or state == "PREEMPTED":
        return Fate.PREEMPTED
    if is_preempted and not _ended_within_grace(record, grace_seconds):
        return Fate.PREEMPTED
    return Fate.CANCELLED


def _ended_within_grace(record: Mapping[str, str], grace_seconds: float) -> bool:
    """Return whether a preempted job was ended before its grace was over, as only scancel does.

    Some versions of Slurm set the time of preemption anew when the grace is over.
    """
    began, ended = _time(record.get("PreemptTime")), _time(record.get("EndTime"))
    if began is None or ended is None:
        return False
    return _SAME_MOMENT_S < (ended - began).total_seconds() < grace_seconds - _SAME_MOMENT_S


def ask_fate(
    job: int | str, *, restart_count: int, is_told_to_end: bool, patient: bool = True
) -> tuple[Fate, dict[str, str]]:
    """Ask Slurm what becomes of a job; return its record too, empty where there is none.

    Args:
        job: its number, or ``ARRAY_INDEX``.
        restart_count: as for ``fate_of``.
        is_told_to_end: as for ``fate_of``.
        patient: ask again, for 5 minutes, while the controller cannot be reached.
    """
    try:
        record = job_record(job, patient=patient)
        grace = 0.0
        if record and record.get("PreemptTime"):
            grace = partition_grace_seconds(record.get("Partition", ""))
    except SlurmSilentError:
        return Fate.UNKNOWN, {}
    fate = fate_of(
        record,
        restart_count=restart_count,
        is_told_to_end=is_told_to_end,
        grace_seconds=grace,
    )
    return fate, record or {}


def is_being_ended(record: Mapping[str, str]) -> bool:
    """Return whether Slurm ends the job's processes, whatever they still have to do."""
    if record.get("JobState", "") not in _AT_WORK:
        return True
    end = _time(record.get("EndTime"))
    return end is not None and end <= datetime.now()


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:  # Unknown
        return None
