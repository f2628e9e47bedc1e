"""What comes after a job that was stopped: itself once more, or a successor like it."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pconv_hpc.cluster.slurm_commands import options_of_job, requeue_command, sbatch_command
from pconv_hpc.cluster.slurm_queries import run_slurm
from pconv_hpc.jobs.requeue.fate import Fate, ask_fate

_OF_THIS_JOB = ("SLURM_", "SLURMD_", "SRUN_", "PMI", "OMPI_MCA_ess")


def requeue(job_id: int | str, environment: Mapping[str, str], *, restart_count: int) -> str | None:
    """Put a running job, or a task of an array, back into the queue.

    Args:
        job_id: its number, or ``ARRAY_INDEX``.
        environment: of the job.
        restart_count: of its present start.

    Returns:
        ``None`` if that is done, by this call or by Slurm just before it, else why it is not.
    """
    if environment.get("PCONV_REQUEUE") == "no":
        return "PCONV_REQUEUE=no"
    answer = run_slurm(requeue_command(job_id), patient=True)
    if answer.returncode == 0:
        return None
    fate, _ = ask_fate(job_id, restart_count=restart_count, is_told_to_end=False)
    return None if fate is Fate.REQUEUED else answer.stderr.strip()


def successor_command(
    script: Path,
    arguments: Sequence[str],
    record: Mapping[str, str],
    options: Mapping[str, str],
) -> list[str]:
    """Return the command that submits a job like the one of ``record``, which writes on in its log.

    Args:
        script: the batch script.
        arguments: the script's.
        record: what ``scontrol show job`` says.
        options: sbatch's long ones beside those of the job.
    """
    options = {**options, **options_of_job(record)}
    if output := record.get("StdOut"):
        options["output"] = output.replace("%", "%%")
    return sbatch_command(script, arguments, options=options)


def submit_successor(
    command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Submit; the environment is handed on without what describes this job."""
    return run_slurm(command, environment=successor_environment(environment), patient=True)


def successor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what describes this job and would shape the next one."""
    kept = {n: v for n, v in environment.items() if not n.startswith(_OF_THIS_JOB)}
    if conf := environment.get("SLURM_CONF"):
        kept["SLURM_CONF"] = conf
    return kept
