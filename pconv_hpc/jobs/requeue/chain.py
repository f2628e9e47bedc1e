"""The chain of starts of one run: whether another start is worth its cost.

A job that is requeued, or that submits its successor, continues a chain. Each start is noted in
``starts.jsonl`` in the run's folder before any work, so that those which exited without recording a
status (a lost node, a kill) count too.
"""

import dataclasses
import enum
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.foundation.errors import EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from pconv_hpc.foundation.json_files import parse_json
from pconv_hpc.jobs.requeue.fate import Fate

STARTS_NAME = "starts.jsonl"
MAX_FRUITLESS_STARTS = 2
# By USR2 before the program could catch it; by KILL, which no program sends itself: a lost node, no
# memory left, Slurm's impatience. 143 (TERM) is not among them: srun reports it for failures too.
_EXITS_FROM_OUTSIDE = (128 + signal.SIGUSR2, 128 + signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Start:
    """One start of a job: who, when, and how far the work had come."""

    chain: str  # id of the chain's first job
    job_id: int
    restart_count: int
    progress: int
    time: str  # ISO 8601, UTC
    options: dict[str, str] = field(default_factory=dict)  # sbatch's, for a job like this one
    preempted: bool = False  # noted at its end, in a second line


def read_starts(path: Path) -> list[Start]:
    """Return the starts noted so far, oldest first; a line that a crash tore is left out."""
    if not path.is_file():
        return []
    starts: list[Start] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            start = parse_json(line, Start)
        except UsageError:
            continue
        if start.preempted and starts:
            starts.pop()  # its first line
        starts.append(start)
    return starts


def append_start(path: Path, start: Start) -> None:
    """Note a start."""
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(dataclasses.asdict(start)) + "\n")


def count_fruitless(starts: Sequence[Start], *, chain: str, progress: int) -> int:
    """Return how many of the last starts in a row made no progress beyond ``progress``.

    A job that a person submitted begins a chain of its own: they may have fixed something. Starts
    that were preempted had no chance, and do not count.
    """
    count = 0
    for start in reversed(starts):
        if start.chain != chain or start.progress < progress:
            break
        count += not start.preempted
    return count


class Action(enum.Enum):
    """What a job does when its ranks have ended."""

    DONE = "done"
    REQUEUED = "requeued"  # by Slurm itself
    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a start ended.

    ``exit_code`` is the launcher's, and not reliable: when srun sees ranks end at different moments
    it may terminate the rest and report 143. What the run itself noted counts as much.
    """

    exit_code: int
    finished: bool  # the work says that it is complete
    interrupted: bool  # the work says that it stopped early and saved
    fate: Fate  # what Slurm does with the job
    progress_before: int
    progress_after: int
    fruitless_before: int  # starts in a row without progress, before this one


def decide(ending: Ending) -> tuple[Action, str]:
    """Return what to do after a start, and why, in words for the job's log."""
    if ending.exit_code == EXIT_USAGE:
        return Action.STOP, "the configuration or the input cannot be used; the message is above"
    if ending.finished:
        return Action.DONE, "finished"
    if ending.fate is Fate.REQUEUED:
        return (
            Action.REQUEUED,
            "Slurm has put this job back into the queue: the next start continues",
        )
    if ending.fate is Fate.CANCELLED:
        return Action.STOP, "this job was cancelled (scancel); what was saved can be continued"
    in_time = ending.interrupted or ending.exit_code == EXIT_INTERRUPTED
    what = "stopped in time" if in_time else f"ended with exit code {ending.exit_code}"
    if ending.progress_after > ending.progress_before:
        made = f"{ending.progress_before} → {ending.progress_after}"
        return Action.CONTINUE, f"{what} after progress ({made})"
    if ending.fate is Fate.PREEMPTED:
        return Action.CONTINUE, f"preempted, {what} without progress (at {ending.progress_after})"
    if not in_time and ending.exit_code not in _EXITS_FROM_OUTSIDE:
        return Action.STOP, (
            f"{what} and made no progress (still at {ending.progress_after}); the next start would "
            "do the same. The message is above"
        )
    if ending.fruitless_before + 1 < MAX_FRUITLESS_STARTS:
        return Action.CONTINUE, f"{what}, without progress yet (at {ending.progress_after})"
    return Action.STOP, no_progress_reason(ending.progress_after)


def no_progress_reason(progress: int) -> str:
    """Say that a chain ends because its starts bring nothing."""
    return (
        f"{MAX_FRUITLESS_STARTS} starts in a row made no progress (still at {progress}); give each "
        "start more time (sbatch --time) or look above for what ended it, then submit again"
    )
