"""Folders that are being erased, at a glance, beside each other."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.erasing.folder.manifest import MANIFEST_NAME, PHOTOS_NAME
from pconv_hpc.foundation.text import printable, status_table
from pconv_hpc.jobs.erase_array.array_jobs import compact_indices
from pconv_hpc.jobs.erase_array.status import EraseStatus

_HEADER = (
    *("folder", "jobs", "slurm", "status", "done", "failed", "aside", "images/s", "left"),
    "rerun",
)


def is_erase_folder(path: Path) -> bool:
    """Return whether a folder is one of results, as ``pconv-hpc erase`` makes them."""
    return (path / MANIFEST_NAME).is_file() and (path / PHOTOS_NAME).is_file()


def find_erase_folders(*parents: Path) -> list[Path]:
    """Return the folders of results in some folders, by name."""
    found = {path.parent for parent in parents for path in parent.glob(f"*/{MANIFEST_NAME}")}
    return sorted(path for path in found if is_erase_folder(path))


def format_erase_table(statuses: Sequence[EraseStatus]) -> str:
    """Return a table of plain text, with each folder's last error on a line of its own below it."""
    errors = [status.last_error for status in statuses]
    return printable(status_table(_HEADER, list(map(_row, statuses)), errors))


def _row(status: EraseStatus) -> tuple[str, ...]:
    speed, left = status.images_per_second, status.seconds_left
    states = sorted((status.slurm or {}).items())
    return (
        status.out,
        ",".join(map(str, status.job_ids)) or "-",
        " ".join(f"{count} {state}" for state, count in states) or "-",
        status.state,
        f"{status.done}/{status.photos}",
        str(status.failed),
        str(status.set_aside),
        "-" if speed is None else f"{speed:.1f}",
        "-" if left is None else tqdm.format_interval(left),
        compact_indices(status.rerun) or "-",
    )
