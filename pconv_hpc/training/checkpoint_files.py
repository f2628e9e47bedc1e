"""The checkpoint files of a run: how they are named, which are finished, which are undamaged.

``step_00000300.h5`` holds the arrays, ``step_00000300.json`` describes them and carries their
SHA-256, and one of its own contents. It is written last: an ``.h5`` without one is unfinished and
ignored.
``latest.json`` names the newest, for people and tools; reading never depends on it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.json_files import parse_json

_DESCRIPTION = re.compile(r"step_(\d{8,})\.json")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk: its step, the file of its arrays and its description.

    A description that is no JSON object is empty here, and ``verify`` says so.
    """

    step: int
    path: Path
    description: dict[str, Any]


def checkpoint_paths(directory: Path, step: int) -> tuple[Path, Path]:
    """Return the paths of a checkpoint's arrays and of its description."""
    stem = f"step_{step:08d}"
    return directory / f"{stem}.h5", directory / f"{stem}.json"


def newest_step(directory: Path) -> int:
    """Return the step of the newest finished checkpoint by its name, 0 without any; reads none."""
    matches = (_DESCRIPTION.fullmatch(path.name) for path in directory.glob("step_*.json"))
    return max((int(match.group(1)) for match in matches if match), default=0)


def list_checkpoints(directory: Path) -> list[Checkpoint]:
    """Return the finished checkpoints, oldest first, damaged ones among them.

    Raises:
        PconvError: a description is there and the file system does not give it.
    """
    found = []
    for path in directory.glob("step_*.json"):
        match = _DESCRIPTION.fullmatch(path.name)
        if match is None:
            continue
        try:
            description = parse_json(path.read_bytes(), dict[str, Any])
        except FileNotFoundError:  # pruned in this moment
            continue
        except OSError as error:
            raise PconvError(
                f"{path}: a checkpoint's description cannot be read ({error})"
            ) from error
        except UsageError:
            description = {}
        step = int(match.group(1))
        found.append(Checkpoint(step, checkpoint_paths(directory, step)[0], description))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def set_aside_before(directory: Path) -> list[str]:
    """Return what earlier starts found damaged and set aside, one message a checkpoint."""
    return [f"{path}: set aside" for path in sorted(directory.glob("step_*.json.damaged"))]


def write_description(
    directory: Path, step: int, sha256: str, description: Mapping[str, Any]
) -> None:
    """Describe the checkpoint of ``step``, whose arrays have the digest ``sha256``."""
    path, description_path = checkpoint_paths(directory, step)
    described = {"step": step, "file": path.name, "sha256": sha256, **description}
    atomic.write_json(description_path, described | {"seal": _seal(described)})


def _seal(description: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all a description says but this."""
    said = {name: value for name, value in description.items() if name != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def verify(checkpoint: Checkpoint) -> str | None:
    """Return what is wrong with a checkpoint, ``None`` if nothing is."""
    description = checkpoint.description
    # Versions before this one wrote no seal.
    if not description or description.get("seal", _seal(description)) != _seal(description):
        return f"{checkpoint.path.with_suffix('.json')}: damaged"
    if not checkpoint.path.is_file():
        return f"{checkpoint.path}: missing"
    expected, found = description.get("sha256"), atomic.sha256_of(checkpoint.path)
    if found != expected:
        return f"{checkpoint.path}: damaged (sha256 {found[:12]}…, expected {str(expected)[:12]}…)"
    return None
