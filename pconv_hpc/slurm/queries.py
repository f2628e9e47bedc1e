"""What Slurm says about jobs, asked with its own commands."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from pconv_hpc.errors import PconvError

_TIMEOUT_S = 60
_FIELD = re.compile(r"(?:^|\s)([A-Z][\w:/]*)=(.*?)(?=\s[A-Z][\w:/]*=|\s*$)")
# Free text that runs to the end of its line, so that it cannot pass for another field.
_WHOLE_LINE = ("JobId", "Command", "WorkDir", "StdErr", "StdIn", "StdOut", "Comment")
# A job in one of these states may have a process that is still working.
_ALIVE = frozenset(
    {"RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"}
)


def run_slurm(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm and return what it answered, whatever that was.

    Raises:
        PconvError: there is no such command here, or it does not answer.
    """
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            text=True,
            errors="surrogateescape",  # names of jobs and folders are any bytes
            timeout=_TIMEOUT_S,
            env=environment,
        )
    except FileNotFoundError as error:
        raise PconvError(f"{command[0]}: not found; is Slurm installed on this machine?") from error
    except subprocess.TimeoutExpired as error:
        raise PconvError(f"{command[0]} does not answer within {_TIMEOUT_S} s") from error


def is_reachable() -> bool:
    """Return whether this machine can submit to a Slurm that answers."""
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    return run_slurm(["scontrol", "ping"]).returncode == 0


def parse_job_record(text: str) -> dict[str, str]:
    """Return the fields of ``scontrol show job`` for one job; the first of equal names counts."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition("=")
        if name == "JobId":  # followed by the name, which may hold anything
            number, _, job_name = rest.partition(" JobName=")
            fields = [("JobId", number.split()[0]), ("JobName", job_name)]
        elif name in _WHOLE_LINE:
            fields = [(name, rest)]
        else:
            fields = _FIELD.findall(line)
        for key, value in fields:
            record.setdefault(key, value)
    return record


def job_record(job_id: int | str) -> dict[str, str] | None:
    """Return what Slurm knows of a job, ``None`` if it knows no such job (any more).

    A task of an array is named ``ARRAY_INDEX``.

    Raises:
        PconvError: Slurm does not answer.
    """
    answer = run_slurm(["scontrol", "show", "job", str(job_id)])
    if answer.returncode == 0:
        # The number of an array, which is its last task's own too, shows all its tasks.
        records = [parse_job_record(text) for text in answer.stdout.strip().split("\n\n")]
        own = (record for record in records if record.get("JobId") == str(job_id))
        return next(own, records[0])
    if "Invalid job id" in answer.stderr:
        return None
    raise PconvError(f"Slurm does not answer: {answer.stderr.strip()}")


def job_state(job_id: int) -> str | None:
    """Return a job's state, such as ``RUNNING``; ``None`` if Slurm knows no such job."""
    record = job_record(job_id)
    return None if record is None else record.get("JobState", "UNKNOWN")


def is_alive(job_id: int) -> bool:
    """Return whether processes of a job may still be working."""
    return job_state(job_id) in _ALIVE
