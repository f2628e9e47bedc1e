"""One short course of training in each precision, with and without XLA: speed and loss curves."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # compute nodes have no display

import matplotlib.pyplot as plt

from benchmarks import REPOSITORY
from benchmarks.processes import run_tool
from pconv_hpc.demo.pictures import write_crops
from pconv_hpc.foundation import atomic
from pconv_hpc.training.metrics_table import read_table
from pconv_hpc.training.run_folder import RunFolder

_NUM_CROPS = {"train": 480, "val": 32}
_LOG_EVERY_STEPS = 5
_VARIANTS = (("float32", False), ("float32", True), ("bfloat16", False), ("bfloat16", True))


@dataclass(frozen=True)
class Course:
    """How a run in one precision went.

    Attributes:
        precision: ``train.precision``.
        jit_compile: ``train.jit_compile``.
        steps: at which the loss was told.
        losses: of these steps.
        images_per_second: median over the second half, when XLA has long compiled.
        validation_loss: at the end.
    """

    precision: str
    jit_compile: bool
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    images_per_second: float
    validation_loss: float

    @property
    def name(self) -> str:
        return f"{self.precision}, {'XLA' if self.jit_compile else 'no XLA'}"

    def line(self) -> str:
        """Return the course as a row of the printed table."""
        return (
            f"{self.name:<16}  {self.images_per_second:8.4g} images/s  "
            f"loss {statistics.mean(self.losses[-5:]):.4f}  validation {self.validation_loss:.4f}"
        )


def run_courses(folder: Path, *, num_steps: int, image_size: int) -> Iterator[Course]:
    """Train ``configs/tiny_cpu.yaml`` in each variant, from the same weights on the same batches.

    Args:
        folder: takes crops, packs and runs.
        num_steps: of each course.
        image_size: side of the crops, pixels.

    Raises:
        PconvError: a program failed.
    """
    for split, count in _NUM_CROPS.items():
        held_out = split == "val"
        crops = folder / "crops" / split
        write_crops(crops, num_crops=count, size=image_size, held_out=held_out, seed=held_out)
        run_tool("pack.py", crops, folder / split, "--split", split, "--size", image_size)
    for precision, jit_compile in _VARIANTS:
        run = folder / f"{precision}_{'xla' if jit_compile else 'plain'}"
        settings = {
            "data.train_index": folder / "train" / "index.json",
            "data.val_index": folder / "val" / "index.json",
            "data.image_size": image_size,
            "masks.num_masks": 200,
            "train.epochs": 1,
            "train.steps_per_epoch": num_steps,
            "train.log_every_steps": _LOG_EVERY_STEPS,
            "train.precision": precision,
            "train.jit_compile": str(jit_compile).lower(),
            "validation.num_images": _NUM_CROPS["val"],
        }
        overrides = [f"--set={key}={value}" for key, value in settings.items()]
        run_tool("train.py", REPOSITORY / "configs/tiny_cpu.yaml", "--run-dir", run, *overrides)
        yield read_course(run, precision=precision, jit_compile=jit_compile)


def read_course(run: Path, *, precision: str, jit_compile: bool) -> Course:
    """Read a finished run's metrics."""
    files = RunFolder(run)
    training, validation = read_table(files.metrics_path), read_table(files.validation_metrics_path)
    speeds = [row["images_per_second"] for row in training]
    return Course(
        precision=precision,
        jit_compile=jit_compile,
        steps=tuple(int(row["step"]) for row in training),
        losses=tuple(row["loss"] for row in training),
        images_per_second=statistics.median(speeds[len(speeds) // 2 :]),
        validation_loss=validation[-1]["loss"],
    )


def draw_courses(path: Path, courses: Sequence[Course]) -> None:
    """Draw the loss of every course against the step; the legend tells the speeds."""
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for course in courses:
        label = f"{course.name}: {course.images_per_second:.3g} images/s"
        style = "--" if course.jit_compile else "-"
        axis.plot(course.steps, course.losses, style, label=label, linewidth=1.2)
    axis.set_yscale("log")
    axis.set_xlabel("step")
    axis.set_ylabel("training loss")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    with atomic.atomic_path(path, durable=False) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)
