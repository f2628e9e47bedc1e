"""Slices of a folder given to Slurm: the line that does it, and the note that it was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.jobs.erase_array.array_jobs import (
    array_line,
    compact_indices,
    logs_dir,
    max_array_tasks,
    note_job,
    noted_jobs,
)
from pconv_hpc.jobs.requeue.resubmit import submit


@dataclass(frozen=True, kw_only=True)
class Submission:
    """An array to submit.

    Attributes:
        out: the folder of the results, absolute; it has a manifest when this is submitted.
        indices: of the slices.
        max_running: how many may run at once; ``None``: any number.
        options: sbatch's long options by name.
        site: the site file.
    """

    out: Path
    indices: Sequence[int]
    max_running: int | None
    options: Mapping[str, str] = field(default_factory=dict)
    site: Path

    @property
    def line(self) -> str:
        """The line for bash that submits it."""
        return array_line(
            self.out,
            self.indices,
            max_running=self.max_running,
            options=self.options,
            site=self.site,
        )

    def require_room(self) -> None:
        """Raise ``UsageError`` where Slurm does not take that many elements, or this path."""
        self._require_log_path()
        limit = max_array_tasks()
        if self.indices and max(self.indices) >= limit:
            raise UsageError(
                f"{max(self.indices) + 1} tasks: this Slurm allows {limit} in an array "
                f"(MaxArraySize); use --tasks {limit} or fewer"
            )

    def submit(self) -> str:
        """Submit it and note that; return the job's id.

        Raises:
            UsageError: there is no site file.
            PconvError: sbatch refuses it.
        """
        self._require_log_path()
        logs_dir(self.out).mkdir(parents=True, exist_ok=True)
        job_id = submit(self.line, self.site)
        note_job(
            self.out,
            int(job_id),
            indices=compact_indices(self.indices),
            max_running=self.max_running,
            options=self.options,
        )
        return job_id

    def _require_log_path(self) -> None:
        # With a backslash anywhere in the path Slurm puts no numbers into the names of logs.
        if "\\" in str(self.out):
            raise UsageError(
                f"{self.out}: Slurm changes log paths that contain a backslash; choose an OUT "
                "without one, or pass --local"
            )


def like_the_last(
    out: Path,
    indices: Sequence[int],
    *,
    max_running: int | None,
    options: Mapping[str, str],
    site: Path,
) -> Submission:
    """Return the submission of some slices as an array like the last one of this folder.

    Args:
        out: the folder of the results, absolute.
        indices: of the slices.
        max_running: other than the last one's.
        options: sbatch's, other than the last one's.
        site: the site file.
    """
    jobs = noted_jobs(out)
    limits = [job.max_running for job in jobs if job.max_running]
    return Submission(
        out=out,
        indices=indices,
        max_running=max_running or (limits[-1] if limits else None),
        options={**(jobs[-1].options if jobs else {}), **options},
        site=site,
    )
