"""The training step measured on a GPU: run on the processor, and what happens in trouble."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import REPOSITORY
from benchmarks.gpu_step import batches
from pconv_hpc.foundation.errors import PconvError


def measure(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the program where importing what it must not need fails."""
    for name in ("tensorflow", "horovod", "mpi4py"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise ImportError('is not here')")
    command = [sys.executable, "-m", "benchmarks.gpu_step", "--base-channels", "2", *options]
    command += ["--image-size", "16", "--steps", "1", "--rounds", "1"]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": f"{folder}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )


def test_it_measures_without_tensorflow(tmp_path: Path) -> None:
    options = ("--device", "cpu", "--precision", "bfloat16", "--batch", "1", "--max-batch", "1")
    done = measure(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert "16 × 16 pixels in bfloat16" in done.stdout
    rows = re.findall(r"^\| (\d+) \| (\S+) \| (\S+) \| (\S+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["1"]
    assert all(float(cell) > 0 for row in rows for cell in row)


def test_without_a_gpu_it_says_what_it_needs(tmp_path: Path) -> None:
    done = measure(tmp_path)
    assert done.returncode == 2
    assert "no CUDA GPU: jax" in done.stderr
    assert "NVIDIA" in done.stderr
    assert "--device cpu" in done.stderr
    assert "Traceback" not in done.stderr


def steps(full_at: int, *, error: str, loss: float = 1.0) -> Callable[[int], Callable[[], float]]:
    """Return what builds a step that fails from some batch size on."""

    def build(batch: int) -> Callable[[], float]:
        def step() -> float:
            if batch >= full_at:
                raise RuntimeError(error)
            return loss

        return step

    return build


def sizes(build: Callable[[int], Callable[[], float]]) -> list[int]:
    return [batch for batch, _ in batches(build, 1, 8, steps=1, rounds=1)]


def test_the_batch_doubles_until_memory_is_full_or_a_limit_is_met() -> None:
    assert sizes(steps(4, error="RESOURCE_EXHAUSTED: Out of memory")) == [1, 2]
    assert sizes(steps(100, error="")) == [1, 2, 4, 8]


def test_another_error_and_a_loss_that_is_no_number_are_told() -> None:
    with pytest.raises(RuntimeError, match="an illegal address"):
        sizes(steps(2, error="an illegal address"))
    with pytest.raises(PconvError, match="the loss is nan"):
        sizes(steps(2, error="", loss=float("nan")))
