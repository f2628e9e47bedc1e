"""Continuing a run as a Slurm job: the command line, and whether it should be submitted."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pconv_hpc.cluster.folder_lock import living_holder
from pconv_hpc.cluster.slurm_commands import job_name, sbatch_command, sbatch_line
from pconv_hpc.cluster.slurm_queries import is_reachable, job_state
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.launchers import launched_size
from pconv_hpc.foundation.shipped import JOBS_DIR
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, read_starts


def should_submit(environment: Mapping[str, str]) -> bool:
    """Return whether a run is continued as a job: on a login node, and not within one already."""
    inside = "SLURM_JOB_ID" in environment or launched_size(environment) > 1
    return not inside and is_reachable()


def site_file(environment: Mapping[str, str]) -> Path:
    """Return the site file that jobs source."""
    return Path(environment.get("PCONV_SITE") or JOBS_DIR / "site.sh").absolute()


def continuation_line(
    run_dir: Path, *, given: Mapping[str, str], overrides: Sequence[str], site: Path
) -> str:
    """Return the line for bash that submits the continuation of a run.

    The job is like the run's last one, as noted in its folder, but for ``given``: sbatch's long
    options by name. A run that never was a job takes the job script's own.
    """
    run_dir = run_dir.absolute()
    starts = read_starts(run_dir / STARTS_NAME)
    options = {"job-name": job_name("train", run_dir)}
    options |= starts[-1].options if starts else {}
    if "gpus-per-task" in given:
        options["gres"] = "none"  # Slurm refuses both in one job
        options.pop("gpus", None)
    elif "gres" in given:
        options.pop("gpus-per-task", None)
        options.pop("gpus", None)
    arguments = [str(run_dir / "config.yaml"), str(run_dir)]
    arguments += [word for override in overrides for word in ("--set", override)]
    script = JOBS_DIR / "train_a100.sbatch"
    return sbatch_line(site, sbatch_command(script, arguments, options={**options, **given}))


def require_unlocked(run_dir: Path) -> None:
    """Raise ``UsageError`` where a job or a process trains the run, or waits for its turn to."""
    holder = living_holder(run_dir)
    if holder is not None:
        raise UsageError(f"{run_dir}: already locked by {holder.describe()}")
    starts = read_starts(run_dir / STARTS_NAME)
    if starts and job_state(starts[-1].job_id) == "PENDING":
        raise UsageError(
            f"{run_dir}: job {starts[-1].job_id} waits in the queue to continue it; to submit "
            f"another way, first scancel {starts[-1].job_id}"
        )


def submit(line: str, site: Path) -> str:
    """Run the line that ``continuation_line`` returned; return the new job's id.

    Raises:
        UsageError: there is no site file.
        PconvError: sbatch refuses the job, or does not say which it is.
    """
    if not site.is_file():
        raise UsageError(
            f"{site} is missing: copy jobs/site.example.sh, or the one of your cluster in "
            f"jobs/sites/, to jobs/site.sh (docs/guide/cluster.md; this package's are in "
            f"{JOBS_DIR}), or name yours in PCONV_SITE"
        )
    answer = subprocess.run(
        ["bash", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=os.environ,
    )
    if answer.returncode != 0:
        raise PconvError(f"sbatch refused the job: {answer.stderr.strip()}")
    # What the site file prints comes first; sbatch's answer is ID or ID;CLUSTER.
    job_id = answer.stdout.strip().rpartition("\n")[2].partition(";")[0]
    if not job_id.isdecimal():
        raise PconvError(
            f"sbatch answered {answer.stdout.strip()!r}; expected a job number. Check "
            "whether the job is in the queue (squeue --me) before you submit again"
        )
    return job_id
