"""Slices of an erase folder as job arrays: how they are submitted, and what Slurm knows of them.

``OUT/jobs/JOB.json`` notes each array. A file of its own for each: nothing is ever appended to by
two machines.
"""

import contextlib
import dataclasses
import datetime
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.cluster.slurm_commands import job_name, sbatch_command, sbatch_line
from pconv_hpc.cluster.slurm_queries import run_slurm
from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.json_files import read_json
from pconv_hpc.foundation.shipped import JOBS_DIR

DEFAULT_MAX_ARRAY_TASKS = 1000  # Slurm's default MaxArraySize is 1001, and indices stay below it
# Of a task without GPUs: objects are found in at most four photos at a time, each by one core, so
# more tasks are faster than more cores.
_ON_CPU_NODES = {"cpus-per-task": "4", "mem": "16G"}
_JOBS_NAME = "jobs"
_LOGS_NAME = "logs"


@dataclass(frozen=True, kw_only=True)
class ArrayJob:
    """One array that was submitted for a folder.

    Attributes:
        job_id: of the array.
        indices: its elements, as ``--array`` takes them, without the limit.
        max_running: how many may run at once; ``None``: any number.
        options: sbatch's, for an array like this one.
        time: when it was submitted, ISO 8601, UTC.
    """

    job_id: int
    indices: str
    max_running: int | None = None
    options: dict[str, str] = field(default_factory=dict)
    time: str = ""


@dataclass(frozen=True)
class Element:
    """What Slurm says of one element of an array that waits or runs."""

    job_id: int
    array_id: int
    index: int
    state: str


def compact_indices(indices: Iterable[int]) -> str:
    """Return indices as Slurm writes them: ``3,7-9``."""
    parts = []
    for _, run in itertools.groupby(
        enumerate(sorted(set(indices))), lambda pair: pair[1] - pair[0]
    ):
        numbers = [number for _, number in run]
        first, last = numbers[0], numbers[-1]
        parts.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(parts)


def array_line(
    out: Path,
    indices: Iterable[int],
    *,
    max_running: int | None,
    options: Mapping[str, str],
    site: Path,
) -> str:
    """Return the line for bash that submits slices of a folder that has a manifest.

    Args:
        out: the folder of the results, absolute.
        indices: of the slices.
        max_running: how many may run at once; ``None``: any number.
        options: sbatch's long options by name; they win over the ones chosen here, such as cores
            and memory where ``gres`` is ``none``.
        site: the site file.
    """
    limit = "" if max_running is None else f"%{max_running}"
    own = {
        "job-name": job_name("erase", out),
        "array": f"{compact_indices(indices)}{limit}",
        # Slurm puts numbers in place of %A and %a; a percent sign of the path itself is doubled.
        "output": f"{str(out / _LOGS_NAME).replace('%', '%%')}/%A_%a.out",
    }
    if options.get("gres") == "none":
        own |= _ON_CPU_NODES
    if any(name.startswith("mem-per-") for name in options):
        own.pop("mem", None)  # Slurm takes only one of them
    script = JOBS_DIR / "erase_array.sbatch"
    return sbatch_line(site, sbatch_command(script, [str(out)], options={**own, **options}))


def logs_dir(out: Path) -> Path:
    """Return the folder of the tasks' logs; Slurm does not make it."""
    return out / _LOGS_NAME


def note_job(
    out: Path,
    job_id: int,
    *,
    indices: str,
    max_running: int | None = None,
    options: Mapping[str, str],
) -> None:
    """Note an array that was submitted for ``out``; one that is noted already is left as it is."""
    path = out / _JOBS_NAME / f"{job_id}.json"
    if path.exists():
        return
    job = ArrayJob(
        job_id=job_id,
        indices=indices,
        max_running=max_running,
        options=dict(options),
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    atomic.write_json(path, dataclasses.asdict(job))


def noted_jobs(out: Path) -> list[ArrayJob]:
    """Return the arrays that were submitted for ``out``, oldest first, without damaged notes."""
    jobs = []
    for path in (out / _JOBS_NAME).glob("[0-9]*.json"):
        with contextlib.suppress(UsageError):
            jobs.append(read_json(path, ArrayJob, kind="the note of a job array"))
    return sorted(jobs, key=lambda job: (job.time, job.job_id))


def waiting_and_running(job_ids: Sequence[int]) -> list[Element]:
    """Return the elements of arrays, and of single elements of them, that wait or run.

    Raises:
        PconvError: there is no Slurm here, or it does not answer.
    """
    if not job_ids:
        return []
    listed = ",".join(map(str, sorted(set(job_ids))))
    answer = run_slurm(
        ["squeue", "--noheader", "--array", f"--jobs={listed}", "--format=%A|%F|%K|%T"]
    )
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:  # it was, once
        raise PconvError(f"Slurm does not answer: {answer.stderr.strip()}")
    return parse_elements(answer.stdout)


def parse_elements(text: str) -> list[Element]:
    """Return the elements in lines ``JOB|ARRAY|INDEX|STATE``; other jobs have no index."""
    matches = re.finditer(r"^(\d+)\|(\d+)\|(\d+)\|(\w+)\s*$", text, re.MULTILINE)
    return [Element(int(m[1]), int(m[2]), int(m[3]), m[4]) for m in matches]


def max_array_tasks() -> int:
    """Return how many elements, from 0, an array of this Slurm may have."""
    answer = run_slurm(["scontrol", "show", "config"])
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", answer.stdout, re.MULTILINE)
    return int(found[1]) if found else DEFAULT_MAX_ARRAY_TASKS
