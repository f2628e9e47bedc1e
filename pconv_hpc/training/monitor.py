"""What a run shows while it trains: progress bar, log, metrics.csv, TensorBoard and curves.png."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from pconv_hpc.training.curves import draw_curves
from pconv_hpc.training.metrics_table import MetricsTable, read_table
from pconv_hpc.training.run_folder import RunFolder

_LOG = logging.getLogger("pconv_hpc")


def configure_logging(*, rank: int) -> None:
    """Send rank 0's messages to standard error; other ranks only warn."""
    _LOG.handlers.clear()
    _LOG.propagate = False
    _LOG.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(logging.Formatter("%(message)s" if rank == 0 else f"[{rank}] %(message)s"))
    _LOG.addHandler(stream)


def log_to_file(path: Path) -> None:
    """Send this rank's messages to the end of a file as well.

    Raises:
        OSError: the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _LogFile(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _LOG.addHandler(file)


class _LogFile(logging.FileHandler):
    """A log that a full disk silences: what has to be known is told on standard error, too."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class Monitor:
    """Rank 0's view of a run. On other ranks every method does nothing.

    Args:
        folder: where the files go.
        part_names: the loss and its parts, in the order of ``StepResult.parts``.
        validation_names: the figures of one validation.
        first_step, total_steps: where this start begins and where the run ends.
        global_batch_size: images a step.
        log_every_steps: steps averaged in one row of metrics.csv.
        active: whether this is rank 0.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        part_names: Sequence[str],
        validation_names: Sequence[str],
        first_step: int,
        validated_step: int,
        total_steps: int,
        global_batch_size: int,
        log_every_steps: int,
        active: bool,
    ) -> None:
        self._active = active
        self._folder = folder
        self._part_names = list(part_names)
        self._validation_names = list(validation_names)
        self._global_batch_size = global_batch_size
        self._log_every_steps = log_every_steps
        self._total_steps = total_steps
        self._sums: np.ndarray = np.zeros(len(part_names))
        self._count = 0
        self._window_start = time.perf_counter()
        self._window_steps = 0
        if not active:
            return
        self._metrics = MetricsTable(
            folder.metrics_path, ["step", "epoch", *part_names, "images_per_second"]
        )
        self._validations = MetricsTable(
            folder.validation_metrics_path, ["step", "epoch", *validation_names]
        )
        self._metrics.rewind(first_step)
        self._validations.rewind(validated_step)
        self._writer = tf.summary.create_file_writer(str(folder.tensorboard_dir))
        self._bar = tqdm(
            total=total_steps,
            initial=first_step,
            unit="step",
            disable=not sys.stderr.isatty(),  # job logs get one line per row instead
            dynamic_ncols=True,
        )

    def state(self) -> dict[str, Any]:
        """Return the unfinished row's sums; kept in checkpoints, so that resumed rows are equal."""
        return {"sums": self._sums.tolist(), "count": self._count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up ``state`` from a checkpoint."""
        if len(state["sums"]) == len(self._part_names):
            self._sums = np.array(state["sums"], dtype=float)
            self._count = int(state["count"])

    def restart_clock(self) -> None:
        """Leave what came before (validation, start-up) out of images per second."""
        self._window_start, self._window_steps = time.perf_counter(), 0

    def on_step(self, step: int, epoch: int, parts: Sequence[float]) -> None:
        """Count a finished step (numbered from 1); every so often write a row."""
        self._sums += np.asarray(parts, dtype=float)
        self._count += 1
        self._window_steps += 1
        if not self._active:
            return
        self._bar.update()
        if step % self._log_every_steps == 0 or step == self._total_steps:
            self._write_row(step, epoch)

    def _write_row(self, step: int, epoch: int) -> None:
        seconds = max(time.perf_counter() - self._window_start, 1e-9)
        rate = self._window_steps * self._global_batch_size / seconds
        means = self._sums / self._count
        self._sums, self._count = np.zeros(len(self._part_names)), 0
        self.restart_clock()
        self._metrics.append([step, epoch, *means, rate])
        with self._writer.as_default(step=step):
            for name, mean in zip(self._part_names, means, strict=True):
                tf.summary.scalar(f"train/{name}", mean)
            tf.summary.scalar("train/images_per_second", rate)
        shown = {n: f"{m:.4g}" for n, m in zip(self._part_names, means, strict=True)}
        if self._bar.disable:
            left = (self._total_steps - step) * self._global_batch_size / rate
            _LOG.info(
                "step %d/%d  epoch %d  %s  %.1f images/s  %s left",
                step,
                self._total_steps,
                epoch,
                "  ".join(f"{name} {value}" for name, value in shown.items()),
                rate,
                tqdm.format_interval(left),
            )
        else:
            self._bar.set_postfix(shown | {"images/s": f"{rate:.1f}"}, refresh=False)

    def on_validation(self, step: int, epoch: int, figures: Mapping[str, float]) -> None:
        """Record one validation and redraw the curves."""
        if not self._active:
            return
        self._validations.append([step, epoch, *(figures[n] for n in self._validation_names)])
        with self._writer.as_default(step=step):
            for name, value in figures.items():
                tf.summary.scalar(f"validation/{name}", value)
        self._writer.flush()
        message = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        with tqdm.external_write_mode(file=sys.stderr):
            _LOG.info("validation after epoch %d: %s", epoch, message)
        self.draw()

    def draw(self) -> None:
        """Draw ``curves.png`` from the two tables."""
        if self._active:
            draw_curves(
                self._folder.curves_path,
                training=read_table(self._folder.metrics_path),
                validation=read_table(self._folder.validation_metrics_path),
            )

    def close(self) -> None:
        """Flush and close what is open."""
        if self._active:
            self._bar.close()
            self._writer.close()
