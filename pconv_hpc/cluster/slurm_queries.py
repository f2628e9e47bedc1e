"""What Slurm says about jobs, asked with its own commands."""

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from pconv_hpc.foundation.errors import PconvError

_TIMEOUT_S = 60
# How long work that is saved asks again: a controller restarts, or is busy with many ending jobs.
_PATIENCE_S = 300.0
_PAUSE_S = 10.0
# What cannot have reached the controller; after a timeout it may have.
_NOT_REACHED = re.compile(
    "Unable to contact|Connection refused|[Cc]ommunication connection failure|backup controller in"
)
_FIELD = re.compile(r"(?:^|\s)([A-Z][\w:/]*)=(.*?)(?=\s[A-Z][\w:/]*=|\s*$)")
# Free text that runs to the end of its line, so that it cannot pass for another field.
_WHOLE_LINE = ("JobId", "Command", "WorkDir", "StdErr", "StdIn", "StdOut", "Comment")
# A job in one of these states may have a process that is still working.
_ALIVE = frozenset(
    {"RUNNING", "COMPLETING", "STAGE_OUT", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"}
)


class SlurmSilentError(PconvError):
    """Slurm's controller does not answer."""


def run_slurm(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    patient: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm and return what it answered, whatever that was.

    ``patient`` asks again, for 5 minutes, while the controller cannot be reached. A timeout ends
    that, as the command may have been obeyed.

    Raises:
        PconvError: there is no such command here, or it does not answer.
    """
    give_up_at = time.monotonic() + (_PATIENCE_S if patient else 0.0)
    while True:
        answer = _run_once(command, environment)
        if answer.returncode == 0 or not _NOT_REACHED.search(answer.stderr):
            return answer
        if time.monotonic() >= give_up_at:
            raise SlurmSilentError(f"Slurm does not answer: {answer.stderr.strip()}")
        time.sleep(_PAUSE_S)


def _run_once(
    command: Sequence[str], environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
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
        raise SlurmSilentError(f"{command[0]} did not answer within {_TIMEOUT_S} s") from error


def is_reachable() -> bool:
    """Return whether this machine can submit to a Slurm that answers."""
    if shutil.which("sbatch") is None or shutil.which("scontrol") is None:
        return False
    return _run_once(["scontrol", "ping"], None).returncode == 0


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


def job_record(job_id: int | str, *, patient: bool = False) -> dict[str, str] | None:
    """Return what Slurm knows of a job, ``None`` if it knows no such job (any more).

    A task of an array is named ``ARRAY_INDEX``. ``patient`` as for ``run_slurm``.

    Raises:
        PconvError: Slurm does not answer.
    """
    answer = run_slurm(["scontrol", "show", "job", str(job_id)], patient=patient)
    if answer.returncode == 0:
        # The number of an array, which is its last task's own too, shows all its tasks.
        records = [parse_job_record(text) for text in answer.stdout.strip().split("\n\n")]
        own = (record for record in records if record.get("JobId") == str(job_id))
        return next(own, records[0])
    if "Invalid job id" in answer.stderr:
        return None
    raise PconvError(f"Slurm does not answer: {answer.stderr.strip()}")


def partition_grace_seconds(partition: str) -> float:
    """Return how long a preempted job of a partition may go on; 0 if Slurm does not say.

    Raises:
        PconvError: Slurm does not answer.
    """
    answer = run_slurm(["scontrol", "show", "partition", partition])
    found = re.search(r"\bGraceTime=(\d+)", answer.stdout)
    return float(found[1]) if found else 0.0


def job_state(job_id: int) -> str | None:
    """Return a job's state, such as ``RUNNING``; ``None`` if Slurm knows no such job."""
    record = job_record(job_id)
    return None if record is None else record.get("JobState", "UNKNOWN")


def is_alive(job_id: int) -> bool:
    """Return whether processes of a job may still be working."""
    return job_state(job_id) in _ALIVE
