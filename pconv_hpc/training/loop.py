"""The loop of a run: step, read the outcome, save, validate, stop together."""

import logging
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import keras
import numpy as np
import tensorflow as tf

import pconv_hpc
from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.config import RunConfig, config_to_mapping
from pconv_hpc.foundation.errors import Interrupted, PconvError
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.model.weights import save_weights
from pconv_hpc.shards.loader import Batch
from pconv_hpc.training.checkpoint import CheckpointStore
from pconv_hpc.training.distributed import Ranks
from pconv_hpc.training.monitor import Monitor
from pconv_hpc.training.run_folder import RunFolder, Status
from pconv_hpc.training.step import (
    StepResult,
    TrainingStep,
    read_outcome,
    variable_groups,
    variable_snapshots,
)
from pconv_hpc.training.validation import Validator, is_better

_LOG = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a run stands; together with the variables, all that a checkpoint must hold."""

    step: int = 0
    validated_epochs: int = 0
    best_loss: float | None = None


@dataclass
class TrainingLoop:
    """Runs the steps of a run from ``progress`` to its end; ``trainer`` wires its parts."""

    config: RunConfig
    folder: RunFolder
    ranks: Ranks
    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    store: CheckpointStore
    monitor: Monitor
    validator: Validator
    step: TrainingStep
    progress: Progress
    steps_per_epoch: int
    total_steps: int
    data_fingerprint: str
    stop_request: StopRequest

    def run(self, batches: Iterator[Batch]) -> None:
        """Train, validate and save until the last step.

        The outcome of a step is read after the next one was started, so that a GPU never idles
        while the host looks at a number. Every rank reads the same outcomes in the same order, so
        all of them stop, save and validate after the same step.
        """
        self._last_saved = self.progress.step
        self._last_save_time = time.monotonic()
        if self.progress.step >= self.total_steps and self._validated():
            _LOG.info("already trained to the end; nothing to do")
            return
        unread: StepResult | None = None
        self._validate_if_due()
        self.write_state("running", "")
        while self.progress.step < self.total_steps:
            result = self.step(
                next(batches), stop=self.stop_request.is_set, save=self._save_is_due()
            )
            self.progress.step += 1
            stop, save = self._read(unread)
            unread = result
            at_epoch_end = self.progress.step % self.steps_per_epoch == 0
            if stop or save or at_epoch_end:
                stop = self._read(unread)[0] or stop
                unread = None
                self._save(wait=stop)
            if stop:
                raise Interrupted(self._stop_message())
            self._validate_if_due()
        self.store.wait()

    def _read(self, result: StepResult | None) -> tuple[bool, bool]:
        """Wait for a step, record it, and return whether to stop and whether to save."""
        if result is None:
            return False, False
        outcome = read_outcome(result)
        step = outcome.step + 1
        if not outcome.finite:
            self._fail_not_finite("training", step, outcome.parts[0])
        epoch = (step - 1) // self.steps_per_epoch + 1
        self.monitor.on_step(step, epoch, outcome.parts)
        return outcome.stop, outcome.save

    def _fail_not_finite(self, where: str, step: int, loss: float) -> NoReturn:
        self.store.wait()
        kept = f"The last checkpoint, after step {self._last_saved}, is intact"
        raise PconvError(
            f"step {step}: the {where} loss is not finite ({loss}). "
            f"{kept if self._last_saved else 'No checkpoint was saved yet'}. A lower "
            "optimizer.learning_rate or a longer optimizer.warmup_steps helps; continue with "
            f"pconv-hpc resume {self.folder.path} --set …"
        )

    def _stop_message(self) -> str:
        name = self.stop_request.signal_name or "a signal to another rank"
        return (
            f"stopped by {name} after step {self.progress.step} of {self.total_steps}, saved; "
            f"continue with: pconv-hpc resume {self.folder.path}"
        )

    def _save_is_due(self) -> bool:
        """Whether it is time for a save between epochs; rank 0's clock decides."""
        if not self.ranks.is_first:
            return False
        config = self.config.train
        steps = self.progress.step - self._last_saved
        seconds = time.monotonic() - self._last_save_time
        by_steps = 0 < config.checkpoint_every_steps <= steps
        by_time = 0 < config.checkpoint_every_minutes * 60 <= seconds
        return by_steps or by_time

    def _save(self, *, wait: bool, best: bool = False) -> None:
        if self.ranks.is_first:
            description = {
                "progress": vars(self.progress).copy(),
                "best": best,
                "monitor": self.monitor.state(),
                "seed": self.config.train.seed,
                "data_fingerprint": self.data_fingerprint,
                "num_ranks": self.ranks.size,
                "config": config_to_mapping(self.config),
                "versions": _versions(),
            }
            if self.progress.step == self._last_saved:
                self.store.annotate(self.progress.step, description)
            else:
                groups = variable_groups(self.model, self.optimizer)
                arrays = {name: variable_snapshots(group) for name, group in groups.items()}
                self.store.save(self.progress.step, arrays, description)
            if wait:
                self.store.wait()
        self._last_saved = self.progress.step
        self._last_save_time = time.monotonic()

    def _validated(self) -> bool:
        """Whether no validation is due: within an epoch, or done after this one."""
        epoch, into_epoch = divmod(self.progress.step, self.steps_per_epoch)
        return into_epoch > 0 or epoch <= self.progress.validated_epochs

    def _validate_if_due(self) -> None:
        """Validate at the end of an epoch, once, also when the run was stopped just before it.

        The checkpoint of the step is there already. The note of the validation in it comes last:
        killed before it, a run validates again, and behind it nothing is left to be lost.
        """
        if self._validated():
            return
        epoch = self.progress.step // self.steps_per_epoch
        figures = self.validator.measure()
        if not math.isfinite(figures["loss"]):
            # Every rank waits for rank 0 to have done it: the first to end takes the others along.
            left = self.store.withdraw(self.progress.step) if self.ranks.is_first else None
            self._last_saved = self.ranks.broadcast(left, name="withdrawn")
            self._fail_not_finite("validation", self.progress.step, figures["loss"])
        best = is_better(figures, self.progress.best_loss)
        self.progress.validated_epochs = epoch
        if best:
            self.progress.best_loss = figures["loss"]
        if self.ranks.is_first:
            self.validator.save_grid(self.folder.grid_path(epoch))
            if best:
                save_weights(
                    self.folder.weights_path,
                    self.model,
                    self.config.model,
                    metadata={
                        "image_size": self.config.data.image_size,
                        "step": self.progress.step,
                        "validation": figures,
                    },
                )
        self.monitor.on_validation(self.progress.step, epoch, figures)
        self._save(wait=False, best=best)
        self.monitor.restart_clock()

    def write_state(self, status: Status, reason: str) -> None:
        """Note on rank 0 where the run stands."""
        if self.ranks.is_first:
            self.folder.write_state(
                status, step=self.progress.step, total_steps=self.total_steps, reason=reason
            )


def _versions() -> dict[str, str]:
    return {
        "pconv_hpc": pconv_hpc.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
    }
