"""What ``jobs/erase_array.sbatch`` runs: one slice of a folder, as one task of a job array.

    python -m pconv_hpc.jobs.erase_array.slice_task IMAGES OUT --weights … [options]
    python -m pconv_hpc.jobs.erase_array.slice_task OUT

Paths are relative to where the job was submitted. Exit codes: 0 every photo is erased, has nothing
to erase or is set aside; 1 some failed and may be tried again; 2 bad input; 75 stopped early.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.cluster.job_environment import require_packages
from pconv_hpc.cluster.slurm_commands import options_of_job
from pconv_hpc.cluster.slurm_queries import job_record
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.foundation.errors import EXIT_INTERRUPTED, PconvError
from pconv_hpc.jobs.erase_array.array_jobs import note_job, noted_jobs
from pconv_hpc.options import cli

PACKAGES = ("numpy", "PIL", "h5py", "tqdm", "keras", "tensorflow", "torch", "mmdet")


def main() -> int:
    """Do this array task's share of the work."""
    with Programs() as programs:
        require_packages(PACKAGES)
        return _run(programs, os.environ)


def _run(programs: Programs, environment: Mapping[str, str]) -> int:
    # These import packages that require_packages has a better message for.
    from pconv_hpc.erasing.folder.slice_runner import SliceRunner
    from pconv_hpc.erasing.folder.slice_summary import summarise
    from pconv_hpc.jobs.erase_array.task_arguments import open_work
    from pconv_hpc.jobs.requeue.erase_continuation import continue_task, is_about_to_be_killed
    from pconv_hpc.model.weight_header import check_weights

    manifest, number = open_work(sys.argv[1:], environment)
    with contextlib.suppress(PconvError):  # Slurm is busy: another task of the array will do it
        note_array(manifest.out, environment)
    check_weights(manifest.settings.inpaint.weights)  # before all objects are found
    remaining = summarise(manifest, number).remaining
    is_seen_to = False

    def see_to_the_next_start(has_progress: bool) -> None:
        nonlocal is_seen_to
        if is_seen_to:
            return
        is_seen_to = True
        said = continue_task(
            manifest.out,
            environment,
            has_progress=has_progress,
            is_told_to_end=programs.signal_name == "SIGTERM",
        )
        print(f"stopped by {programs.signal_name or 'a signal'}; {said}", flush=True)

    def on_term() -> bool:
        if is_about_to_be_killed(environment):
            see_to_the_next_start(summarise(manifest, number).remaining < remaining)
        return is_seen_to

    programs.on_term = on_term
    ending = SliceRunner(manifest, number, programs, environment=environment).run()
    if ending.exit_code == EXIT_INTERRUPTED:
        see_to_the_next_start(ending.has_progress)
    return ending.exit_code


def note_array(out: Path, environment: Mapping[str, str]) -> None:
    """Note this task's array beside the results, for those who want to know how far it is."""
    array = int(environment["SLURM_ARRAY_JOB_ID"])
    if any(job.job_id == array for job in noted_jobs(out)):
        return
    record = job_record(f"{array}_{environment['SLURM_ARRAY_TASK_ID']}") or {}
    first, last, count = (
        int(environment[f"SLURM_ARRAY_TASK_{n}"]) for n in ("MIN", "MAX", "COUNT")
    )
    limit = record.get("ArrayTaskThrottle", "")
    note_job(
        out,
        array,
        indices=f"{first}-{last}" if count > 1 else str(first),
        max_running=int(limit) if limit.isdigit() and int(limit) else None,
        options=options_of_job(record),
    )


if __name__ == "__main__":
    cli.run(main)
