"""The checkpoint files of a run: how they are named, which are finished, which are undamaged.

``step_00000300.h5`` holds the arrays, ``step_00000300.json`` describes them and carries their
SHA-256. The description is written last: an ``.h5`` without one is unfinished and ignored.
``latest.json`` names the newest, for people and tools; reading never depends on it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc import atomic

_DESCRIPTION = re.compile(r"step_(\d{8,})\.json")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk: its step, the file of its arrays and its description."""

    step: int
    path: Path
    description: dict[str, Any]


def checkpoint_paths(directory: Path, step: int) -> tuple[Path, Path]:
    """Return the paths of a checkpoint's arrays and of its description."""
    stem = f"step_{step:08d}"
    return directory / f"{stem}.h5", directory / f"{stem}.json"


def list_checkpoints(directory: Path) -> list[Checkpoint]:
    """Return the finished checkpoints, oldest first; unreadable descriptions are left out."""
    found = []
    for path in directory.glob("step_*.json"):
        match = _DESCRIPTION.fullmatch(path.name)
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if match and isinstance(description, dict):
            step = int(match.group(1))
            found.append(Checkpoint(step, checkpoint_paths(directory, step)[0], description))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def verify(checkpoint: Checkpoint) -> str | None:
    """Return what is wrong with a checkpoint's arrays, ``None`` if nothing is."""
    if not checkpoint.path.is_file():
        return f"{checkpoint.path}: missing"
    expected, found = checkpoint.description.get("sha256"), atomic.sha256_of(checkpoint.path)
    if found != expected:
        return f"{checkpoint.path}: damaged (sha256 {found[:12]}…, expected {str(expected)[:12]}…)"
    return None
