"""A stopped task of an array goes on: requeued alone, or followed by a job for the same slice."""

from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.cluster.slurm_queries import job_record
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.shipped import JOBS_DIR
from pconv_hpc.jobs.requeue.succession import requeue, submit_successor, successor_command

# Handed on to a successor, which Slurm does not count the restarts of.
FRUITLESS_VARIABLE = "PCONV_ERASE_FRUITLESS"


def continue_task(out: Path, environment: Mapping[str, str], *, has_progress: bool) -> str:
    """Let this array task's slice be gone on with; return what became of that.

    A cancelled task stays cancelled, and so does one whose starts bring nothing.
    """
    # SLURM_JOB_ID of an array's last task is the array's own: Slurm would requeue all its tasks.
    task = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    try:
        return _continue_task(task, out, environment, has_progress=has_progress)
    except PconvError as error:
        return f"not continued: {error}; pconv-hpc erase-status OUT --resubmit does it later"


def _continue_task(
    task: str, out: Path, environment: Mapping[str, str], *, has_progress: bool
) -> str:
    record = job_record(task, patient=True) or {}
    if record.get("JobState") != "RUNNING":
        return "Slurm is ending this task"
    if not has_progress and _is_second_start(environment):
        return "not continued: this start finished nothing; a longer --time may help"
    reason = requeue(task, environment)
    if reason is None:
        return "requeued: the next start continues"
    options = {
        "array": environment["SLURM_ARRAY_TASK_ID"],
        "dependency": f"afterany:{task}",  # nobody else may be at work on the slice
        "job-name": record.get("JobName", "pconv-erase"),
    }
    command = successor_command(JOBS_DIR / "erase_array.sbatch", [str(out)], record, options)
    fruitless = "" if has_progress else "1"
    answer = submit_successor(command, {**environment, FRUITLESS_VARIABLE: fruitless})
    if answer.returncode != 0:
        return (
            f"not requeued ({reason}), and sbatch is not allowed here ({answer.stderr.strip()}); "
            "pconv-hpc erase-status OUT --resubmit on a login node continues"
        )
    return f"not requeued ({reason}); job {answer.stdout.strip()} continues"


def _is_second_start(environment: Mapping[str, str]) -> bool:
    restarts = int(environment.get("SLURM_RESTART_COUNT") or 0)
    return restarts > 0 or bool(environment.get(FRUITLESS_VARIABLE))
