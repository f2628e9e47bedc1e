"""A stopped task of an array goes on: requeued alone, or followed by a job for the same slice."""

from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.shipped import JOBS_DIR
from pconv_hpc.jobs.requeue.fate import Fate, ask_fate, is_being_ended
from pconv_hpc.jobs.requeue.succession import requeue, submit_successor, successor_command

# Handed on to a successor, which Slurm does not count the restarts of.
FRUITLESS_VARIABLE = "PCONV_ERASE_FRUITLESS"


def continue_task(
    out: Path, environment: Mapping[str, str], *, has_progress: bool, is_told_to_end: bool = False
) -> str:
    """Let this array task's slice be gone on with; return what became of that.

    A cancelled task stays cancelled, and one whose starts bring nothing is not continued, unless it
    was preempted.

    Args:
        out: the erase folder.
        environment: of the task.
        has_progress: whether this start brought any photo further.
        is_told_to_end: whether it was TERM that stopped it.
    """
    task, restart_count = _task_and_restarts(environment)
    fate, record = ask_fate(task, restart_count=restart_count, is_told_to_end=is_told_to_end)
    if fate in (Fate.CANCELLED, Fate.REQUEUED):
        return fate.value
    is_second = restart_count > 0 or bool(environment.get(FRUITLESS_VARIABLE))
    if not has_progress and is_second and fate is not Fate.PREEMPTED:
        return "not continued: this start finished nothing; a longer --time may help"
    try:
        reason = requeue(task, environment, restart_count=restart_count)
        if reason is None:
            return "requeued: the next start continues"
        is_fruitless = not has_progress and not fate.is_blameless
        variables = {**environment, FRUITLESS_VARIABLE: "1" if is_fruitless else ""}
        return _submit_successor(task, out, variables, record, reason)
    except PconvError as error:
        return f"not continued: {error}; pconv-hpc erase-status OUT --resubmit does it later"


def is_about_to_be_killed(environment: Mapping[str, str]) -> bool:
    """Return whether Slurm ends this array task whatever it still has to do."""
    task, restart_count = _task_and_restarts(environment)
    _, record = ask_fate(task, restart_count=restart_count, is_told_to_end=True, patient=False)
    return bool(record) and is_being_ended(record)


def _task_and_restarts(environment: Mapping[str, str]) -> tuple[str, int]:
    # SLURM_JOB_ID of an array's last task is the array's own: Slurm would requeue all its tasks.
    task = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return task, int(environment.get("SLURM_RESTART_COUNT") or 0)


def _submit_successor(
    task: str, out: Path, environment: Mapping[str, str], record: Mapping[str, str], reason: str
) -> str:
    options = {
        "array": environment["SLURM_ARRAY_TASK_ID"],
        "dependency": f"afterany:{task}",  # nobody else may be at work on the slice
        "job-name": record.get("JobName", "pconv-erase"),
    }
    command = successor_command(JOBS_DIR / "erase_array.sbatch", [str(out)], record, options)
    answer = submit_successor(command, environment)
    if answer.returncode != 0:
        return (
            f"not requeued ({reason}), and sbatch is not allowed here ({answer.stderr.strip()}); "
            "pconv-hpc erase-status OUT --resubmit on a login node continues"
        )
    return f"not requeued ({reason}); job {answer.stdout.strip()} continues"
