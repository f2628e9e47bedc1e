"""Checkpoints that are whole or not there, written beside training, verified when read."""

import contextlib
import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.arrays.hdf5 import open_for_reading, open_for_writing
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.weight_header import CHECKPOINT_FORMAT, FORMAT_VERSION
from pconv_hpc.model.weight_writer import write_arrays
from pconv_hpc.model.weights import read_arrays
from pconv_hpc.training.checkpoint_files import (
    Checkpoint,
    checkpoint_paths,
    list_checkpoints,
    set_aside_before,
    verify,
    write_description,
)

_LOG = logging.getLogger(__name__)

Arrays = Mapping[str, Mapping[str, ArrayLike]]


class CheckpointStore:
    """The checkpoints of one run: saves in the background, prunes, finds the newest good one."""

    def __init__(self, directory: Path, *, keep: int) -> None:
        self._directory = Path(directory)
        self._keep = keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def _paths(self, step: int) -> tuple[Path, Path]:
        return checkpoint_paths(self._directory, step)

    def save(self, step: int, arrays: Arrays, description: Mapping[str, Any]) -> None:
        """Write a checkpoint in a thread of its own, after the one before is written.

        ``arrays`` are ``{group: {path: array or tensor}}`` that nobody changes any more;
        ``description`` is JSON data; ``best`` in it marks the one that pruning never takes.

        Raises:
            PconvError: writing the previous checkpoint failed.
        """
        self.wait()
        self._thread = threading.Thread(
            target=self._write_catching, args=(step, arrays, dict(description)), name="checkpoint"
        )
        self._thread.start()

    @property
    def is_writing(self) -> bool:
        """Whether a checkpoint is being written at this moment."""
        return self._thread is not None and self._thread.is_alive()

    def annotate(self, step: int, description: Mapping[str, Any]) -> None:
        """Replace a checkpoint's description; its arrays stay, for they follow from the step."""
        self.wait()
        old = json.loads(self._paths(step)[1].read_bytes())
        write_description(self._directory, step, old["sha256"], description)

    def withdraw(self, step: int) -> int:
        """Set a checkpoint aside, as ``*.not_finite``, whose network turned out to be useless.

        Returns:
            The step of the newest one left, 0 without any.
        """
        with contextlib.suppress(PconvError):  # it could not be written: just as well
            self.wait()
        for checkpoint in list_checkpoints(self._directory):
            if checkpoint.step == step:
                self._set_aside(checkpoint, "not_finite")
        return max((c.step for c in list_checkpoints(self._directory)), default=0)

    def wait(self) -> None:
        """Return once nothing is being written.

        Raises:
            PconvError: the last checkpoint could not be written, with the reason.
        """
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._error:
            error, self._error = self._error, None
            raise PconvError(
                f"{self._directory}: the checkpoint could not be written ({error}). Earlier "
                "ones are intact: free some space or repair the disk, then run pconv-hpc resume"
            ) from error

    def _write_catching(self, step: int, arrays: Arrays, description: dict[str, Any]) -> None:
        try:
            self._write(step, arrays, description)
        except BaseException as error:  # handed to the training thread by wait()
            self._error = error

    def _write(self, step: int, arrays: Arrays, description: dict[str, Any]) -> None:
        path, _ = self._paths(step)
        host = {
            group: {name: np.asarray(array) for name, array in values.items()}
            for group, values in arrays.items()
        }
        for name, array in host["model"].items():
            if not np.isfinite(array).all():
                raise PconvError(f"after step {step} {name!r} holds values that are not finite")
        with atomic.atomic_path(path) as temporary:
            with open_for_writing(temporary) as file:
                file.attrs["format"] = CHECKPOINT_FORMAT
                file.attrs["format_version"] = FORMAT_VERSION
                file.attrs["model_config"] = json.dumps(description["config"]["model"])
                for group, values in host.items():
                    write_arrays(file.create_group(group), values)
            digest = atomic.sha256_of(temporary)
        write_description(self._directory, step, digest, description)
        atomic.write_json(self._directory / "latest.json", {"step": step, "file": path.name})
        self._prune()

    def _prune(self) -> None:
        checkpoints = list_checkpoints(self._directory)
        best = next((c for c in reversed(checkpoints) if c.description.get("best")), None)
        for checkpoint in checkpoints[: -self._keep]:
            if best is None or checkpoint.step != best.step:
                # the description goes first: what is left without it is unfinished by definition
                self._paths(checkpoint.step)[1].unlink(missing_ok=True)
                checkpoint.path.unlink(missing_ok=True)
        described = {checkpoint.path.name for checkpoint in checkpoints}
        for orphan in self._directory.glob("step_*.h5"):
            if orphan.name not in described:
                orphan.unlink(missing_ok=True)
        for leftover in self._directory.glob(".step_*.tmp"):
            leftover.unlink(missing_ok=True)

    def load_newest(self) -> tuple[Checkpoint, dict[str, dict[str, np.ndarray]]] | None:
        """Return the newest checkpoint that verifies, and its arrays; ``None`` if there is none.

        A damaged one is named in the log, set aside as ``*.damaged`` and the one before is tried.

        Raises:
            PconvError: there are checkpoints, but every one is damaged.
        """
        damaged = []
        for checkpoint in reversed(list_checkpoints(self._directory)):
            problem = verify(checkpoint)
            if problem is None:
                return checkpoint, read_checkpoint(checkpoint.path)
            _LOG.warning("%s; falling back to the previous checkpoint", problem)
            damaged.append(problem)
            self._set_aside(checkpoint, "damaged")
        if damaged or (damaged := set_aside_before(self._directory)):
            raise PconvError(
                f"{self._directory}: no usable checkpoint is left ({'; '.join(damaged)}). Copy one "
                "back from a backup, start a new run, or delete this folder to start this one over"
            )
        return None

    def _set_aside(self, checkpoint: Checkpoint, why: str) -> None:
        for path in self._paths(checkpoint.step):
            if path.exists():
                path.rename(path.with_name(f"{path.name}.{why}"))


def read_checkpoint(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return all arrays of a checkpoint file: ``{group: {path: array}}``."""
    with open_for_reading(path) as file:
        if file.attrs.get("format") != CHECKPOINT_FORMAT:
            raise UsageError(f"{path}: not a training checkpoint of this program")
        arrays = {group: read_arrays(file, group) for group in file}
    if not arrays.get("model"):
        raise UsageError(f"{path}: a training checkpoint without a network; is it incomplete?")
    return arrays
