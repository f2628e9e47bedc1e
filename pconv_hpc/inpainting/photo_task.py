"""One photo to erase something from, and what became of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["erased", "unchanged", "skipped", "failed"]


@dataclass(frozen=True)
class Job:
    """One photo, its mask and where the erased photo goes."""

    photo: Path
    mask: Path
    output: Path


@dataclass(frozen=True)
class Result:
    """What became of a job.

    ``erased``; ``unchanged``: the mask is all black and the file was copied; ``skipped``: the
    output was there already; ``failed``: ``reason`` says why, and nothing was written.
    """

    job: Job
    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
