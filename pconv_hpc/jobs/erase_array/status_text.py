"""Where an erase folder stands, as lines for a person."""

import time
from collections.abc import Mapping

from tqdm import tqdm

from pconv_hpc.erasing.folder.ledger import MAX_FAILURES
from pconv_hpc.foundation.text import printable
from pconv_hpc.jobs.erase_array.array_jobs import compact_indices
from pconv_hpc.jobs.erase_array.status import EraseStatus

_MAX_REASONS = 10


def describe_status(status: EraseStatus, command: str | None) -> str:
    """Return the lines that say how far a folder is, and how to continue.

    Args:
        status: of the folder.
        command: what continues the rest; ``None`` where nothing is to be done.
    """
    emptied = "copied" if status.empty_setting == "copy" else "left out"
    lines = [
        f"results     {status.out}",
        f"photos      {status.photos:,} of {status.images}, in {status.num_slices} slices",
        f"status      {status.state}",
        f"done        {status.erased:,} erased, {status.empty:,} with nothing to erase ({emptied})",
        f"failed      {status.failed:,} to be tried again, {status.set_aside:,} set aside after "
        f"{MAX_FAILURES} failures",
        f"remaining   {status.remaining:,}{_time_left(status)}",
        f"slices      {_slices(status)}",
        f"slurm       {_slurm(status)}",
        f"speed       {_speed(status)}",
    ]
    lines += _counts("erased", status.classes)
    lines += _counts("why failed", status.reasons)
    if status.num_torn:
        lines.append(
            f"truncated   {status.num_torn} ledger lines, left by crashes; nothing is lost"
        )
    if status.last_error and status.last_error not in status.reasons:
        lines.append(f"last error  {status.last_error}")
    if status.rerun:
        lines.append(f"rerun       {compact_indices(status.rerun)}")
    if command is not None:
        lines.append(f"command     {command}")
    return printable("\n".join(lines))


def _time_left(status: EraseStatus) -> str:
    if status.seconds_left is None:
        return ""
    return f", {tqdm.format_interval(status.seconds_left)} left"


def _slices(status: EraseStatus) -> str:
    counts = {
        "finished": status.finished,
        "at work": len(status.at_work),
        "in the queue": len(status.waiting),
        "to rerun": len(status.rerun),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _slurm(status: EraseStatus) -> str:
    if status.slurm is None:
        return "not available here"
    states = ", ".join(f"{count} {state}" for state, count in sorted(status.slurm.items()))
    jobs = ", ".join(map(str, status.job_ids))
    return f"{states or 'nothing queued or running'}{f' (arrays {jobs})' if jobs else ''}"


def _speed(status: EraseStatus) -> str:
    parts = []
    if status.images_per_second is not None:
        parts.append(f"{status.images_per_second:.2f} images/s in the last minutes")
    if status.images_per_task_hour is not None:
        parts.append(f"{status.images_per_task_hour:,.0f} images per hour and task")
    if status.last_time is not None:
        age = tqdm.format_interval(max(0, time.time() - status.last_time))
        parts.append(f"last update {age} ago")
    return ", ".join(parts) or "-"


def _counts(title: str, counts: Mapping[str, int]) -> list[str]:
    shown = list(counts.items())[:_MAX_REASONS]
    lines = [f"{title if not i else '':<12}{n:,} {what}" for i, (what, n) in enumerate(shown)]
    if len(counts) > len(shown):
        lines.append(f"{'':<12}and {len(counts) - len(shown)} more kinds")
    return lines
