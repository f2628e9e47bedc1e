"""The process that looks at training runs for the page: where they stand, curves, pictures."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.launchers import shell_line
from pconv_hpc.foundation.text import printable
from pconv_hpc.jobs.run_overview import find_runs, read_overview
from pconv_hpc.page.processes.worker_loop import serve_object
from pconv_hpc.training.metrics_table import read_table
from pconv_hpc.training.run_folder import RunFolder

_MAX_POINTS = 500  # of a curve
_GRID = re.compile(r"epoch_(\d{4,9})\.png")
_NOT_SHOWN = ("step", "epoch")


class Runs:
    """What the server may ask this process for; runs are named by their folders."""

    def names(self, path: str) -> list[str]:
        """Return the run folders that a path stands for: itself, or those in it."""
        folder = Path(path)
        if RunFolder(folder).exists:
            return [path]
        return [str(run) for run in find_runs(folder)]

    def overview(self, run: str) -> dict[str, Any]:
        """Return where a run stands; of one that cannot be read only the problem."""
        try:
            known = dataclasses.asdict(read_overview(Path(run)))
        except PconvError as error:
            return {"status": "cannot be read", "last_error": printable(str(error))}
        return {name: _shown(value) for name, value in known.items() if name != "run"}

    def describe(self, run: str) -> dict[str, Any]:
        """Return all that is shown of a run: where it stands, its curves, epochs with pictures."""
        folder = RunFolder(Path(run))
        state = folder.read_state()
        return {
            **self.overview(run),
            "reason": printable(state.reason),
            "folder": printable(run),
            "resume": printable(shell_line(["pconv-hpc", "resume", run])),
            "curves": _curves(folder),
            "epochs": _epochs(folder),
        }

    def grid(self, run: str, epoch: int) -> str:
        """Return the file with the pictures of validation after an epoch.

        Raises:
            UsageError: there is none.
        """
        path = RunFolder(Path(run)).grid_path(epoch)
        if not path.is_file():
            raise UsageError(f"there is no picture of epoch {epoch}")
        return str(path)


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _epochs(folder: RunFolder) -> list[int]:
    found = (_GRID.fullmatch(path.name) for path in folder.validation_dir.glob("epoch_*.png"))
    return sorted(int(match[1]) for match in found if match)


def _curves(folder: RunFolder) -> list[dict[str, Any]]:
    """Return each measure as points (step, value), of training and of validation."""
    training = read_table(folder.metrics_path)
    validation = read_table(folder.validation_metrics_path)
    names = dict.fromkeys(name for rows in (training, validation) for row in rows for name in row)
    return [
        {"name": name, "training": _points(training, name), "validation": _points(validation, name)}
        for name in names
        if name not in _NOT_SHOWN
    ]


def _points(rows: Sequence[dict[str, float]], name: str) -> list[tuple[float, float]]:
    """Return the points of one measure, means of neighbours where there are too many."""
    points = [(row["step"], row[name]) for row in rows if name in row and row[name] == row[name]]
    width = -(-len(points) // _MAX_POINTS)
    if width <= 1:
        return points
    groups = [points[first : first + width] for first in range(0, len(points), width)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


if __name__ == "__main__":
    serve_object(Runs)
