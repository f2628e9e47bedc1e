"""All that a person wants to know of many runs at a glance, read from their folders and Slurm."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.cluster.folder_lock import living_holder
from pconv_hpc.cluster.slurm_queries import job_state
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.text import status_table
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, Start, read_starts
from pconv_hpc.training.checkpoint_files import list_checkpoints
from pconv_hpc.training.metrics_table import read_table
from pconv_hpc.training.run_folder import RunFolder

_LOG_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class RunOverview:
    """One run. ``None`` where there is nothing to tell."""

    run: str
    job_id: int | None  # of its last start under Slurm
    slurm: str | None  # that job's state; None where Slurm knows no such job or is not here
    status: str  # running, interrupted, failed, finished, or exited without recording a status
    step: int  # the last one that was logged
    total_steps: int | None
    images_per_second: float | None  # of the last row of metrics.csv
    seconds_left: float | None  # at that speed; only while it runs
    checkpoint_step: int | None
    checkpoint_age_seconds: float | None
    requeues: int  # further starts of the last chain
    last_error: str | None


def read_overview(run_dir: Path) -> RunOverview:
    """Read where a run stands; changes nothing, and hashes no checkpoint.

    Raises:
        UsageError: no run was started there.
    """
    folder = RunFolder(run_dir)
    config = folder.load_config()
    state = folder.read_state()
    starts = read_starts(folder.path / STARTS_NAME)
    checkpoints = list_checkpoints(folder.checkpoints_dir)
    rows = read_table(folder.metrics_path)
    newest = checkpoints[-1] if checkpoints else None
    step = max(int(rows[-1]["step"]) if rows else 0, newest.step if newest else 0)
    total_steps = state.total_steps or None
    speed = rows[-1]["images_per_second"] if rows else None
    status: str = state.status or "not started"
    runs = status == "running" and living_holder(folder.path) is not None
    if status == "running" and not runs:
        status = "exited without recording a status"
    left = None
    if runs and speed and total_steps:
        left = (total_steps - step) * config.train.global_batch_size / speed
    return RunOverview(
        run=str(run_dir),
        job_id=starts[-1].job_id if starts else None,
        slurm=_slurm_state(starts),
        status=status,
        step=step,
        total_steps=total_steps,
        images_per_second=speed,
        seconds_left=left,
        checkpoint_step=newest.step if newest else None,
        checkpoint_age_seconds=_age_seconds(newest.path) if newest else None,
        requeues=sum(start.chain == starts[-1].chain for start in starts) - 1 if starts else 0,
        last_error=state.reason if status == "failed" else _last_error(folder.log_path),
    )


def _age_seconds(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return None


def _slurm_state(starts: Sequence[Start]) -> str | None:
    if not starts:
        return None
    try:
        return job_state(starts[-1].job_id)
    except PconvError:  # no Slurm on this machine, or it does not answer
        return None


def _last_error(log_path: Path) -> str | None:
    if not log_path.is_file():
        return None
    with open(log_path, "rb") as stream:
        stream.seek(max(0, log_path.stat().st_size - _LOG_TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return next(
        (line.partition(" ERROR ")[2] for line in reversed(lines) if " ERROR " in line), None
    )


def find_runs(parent: Path) -> list[Path]:
    """Return the run folders in ``parent``, by name."""
    return sorted(path.parent for path in parent.glob("*/config.yaml"))


_HEADER = ("run", "job", "slurm", "status", "step", "images/s", "left", "checkpoint", "requeues")


def format_table(overviews: Sequence[RunOverview]) -> str:
    """Return a table of plain text, with each run's last error on a line of its own below it."""
    errors = [overview.last_error for overview in overviews]
    return status_table(_HEADER, list(map(_row, overviews)), errors)


def _row(overview: RunOverview) -> tuple[str, ...]:
    age, left = overview.checkpoint_age_seconds, overview.seconds_left
    speed = overview.images_per_second
    return (
        overview.run,
        str(overview.job_id or "-"),
        overview.slurm or "-",
        overview.status,
        f"{overview.step}/{overview.total_steps or '?'}",
        "-" if speed is None else f"{speed:.1f}",
        "-" if left is None else tqdm.format_interval(left),
        "-"
        if age is None
        else f"{overview.checkpoint_step}, {tqdm.format_interval(max(0, age))} ago",
        str(overview.requeues),
    )
