"""A stopped task of an array goes on: requeued alone, or followed by a job for the same slice."""

from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.errors import PconvError
from pconv_hpc.slurm.commands import options_of_job, requeue_command, sbatch_command
from pconv_hpc.slurm.queries import job_record, run_slurm
from pconv_hpc.slurm.resubmit import JOBS_DIR

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
        return f"not continued: {error}; tools/erase_status.py OUT --resubmit does it later"


def _continue_task(
    task: str, out: Path, environment: Mapping[str, str], *, has_progress: bool
) -> str:
    record = job_record(task, patient=True) or {}
    if record.get("JobState") != "RUNNING":
        return "Slurm is ending this task"
    if not has_progress and _is_second_start(environment):
        return "not continued: this start finished nothing; a longer --time may help"
    reason = "PCONV_REQUEUE=no"
    if environment.get("PCONV_REQUEUE") != "no":
        answer = run_slurm(requeue_command(task), patient=True)
        if answer.returncode == 0:
            return "requeued: the next start continues"
        reason = answer.stderr.strip()
    command = successor_command(out, task, environment["SLURM_ARRAY_TASK_ID"], record)
    successor = successor_environment(environment)
    if not has_progress:
        successor[FRUITLESS_VARIABLE] = "1"
    answer = run_slurm(command, environment=successor, patient=True)
    if answer.returncode != 0:
        return (
            f"not requeued ({reason}), and sbatch is not allowed here ({answer.stderr.strip()}); "
            "tools/erase_status.py OUT --resubmit on a login node continues"
        )
    return f"not requeued ({reason}); job {answer.stdout.strip()} continues"


def _is_second_start(environment: Mapping[str, str]) -> bool:
    restarts = int(environment.get("SLURM_RESTART_COUNT") or 0)
    return restarts > 0 or bool(environment.get(FRUITLESS_VARIABLE))


def successor_command(out: Path, task: str, index: str, record: Mapping[str, str]) -> list[str]:
    """Return the command that submits an array of one element, like the task of ``record``.

    It starts when the task has ended, as nobody else may be at work on the slice, and writes on in
    the task's log.
    """
    options = {
        "array": index,
        "dependency": f"afterany:{task}",
        "job-name": record.get("JobName", "pconv-erase"),
        **options_of_job(record),
    }
    if output := record.get("StdOut"):
        options["output"] = output.replace("%", "%%")
    return sbatch_command(JOBS_DIR / "erase_array.sbatch", [str(out)], options=options)


def successor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what describes this job and would shape the next one."""
    foreign = ("SLURM_", "SLURMD_", "SRUN_", "PMI", "OMPI_MCA_ess", FRUITLESS_VARIABLE)
    kept = {n: v for n, v in environment.items() if not n.startswith(foreign)}
    if conf := environment.get("SLURM_CONF"):
        kept["SLURM_CONF"] = conf
    return kept
