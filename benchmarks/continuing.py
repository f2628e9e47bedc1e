"""How long a run takes to go on after an interruption: from the command to its first new step."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import REPOSITORY
from benchmarks.compare import Comparison
from benchmarks.processes import environment, run, run_tool
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.sample_photos import sample_photos

_SIZE = 64
_NUM_PHOTOS = 32
_OVERRIDES = {
    "data.image_size": _SIZE,
    "model.levels": 5,
    "masks.num_masks": 32,
    "masks.objects": 0,
    "optimizer.warmup_steps": 0,
    "train.epochs": 1,
    "train.global_batch_size": 4,
    "train.log_every_steps": 1,
    "validation.num_images": 4,
}


def _settings(**more: object) -> list[str]:
    values = _OVERRIDES | {key.replace("__", "."): value for key, value in more.items()}
    return [f"--set={key}={value}" for key, value in values.items()]


def _make_run(folder: Path) -> Path:
    """Pack a few photos, train two steps of a run on them, and return the run's folder."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    sources = list(sample_photos().values())
    rng = np.random.default_rng(0)
    for number in range(_NUM_PHOTOS):
        source = sources[number % len(sources)]
        top, left = (int(rng.integers(side - 2 * _SIZE)) for side in source.shape[:2])
        crop = source[top : top + 2 * _SIZE, left : left + 2 * _SIZE]
        Image.fromarray(crop).save(photos / f"{number}.png")
    for split in ("train", "val"):
        run_tool("pack.py", photos, folder / split, "--split", split, "--size", _SIZE)
    trained = folder / "run"
    settings = _settings(
        data__train_index=folder / "train" / "index.json",
        data__val_index=folder / "val" / "index.json",
        train__steps_per_epoch=2,
    )
    run_tool("train.py", REPOSITORY / "configs" / "tiny_cpu.yaml", "--run-dir", trained, *settings)
    return trained


def _seconds_to_first_step(trained: Path, copy: Path) -> float:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(trained, copy)
    options = ["--local", "--set=train.epochs=500"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tools" / "resume.py"), str(copy), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("step 3/"):
                return time.perf_counter() - began
        raise PconvError(f"the run did not go on: {''.join(lines)[-2000:]}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def continuing_comparisons(folder: Path) -> Iterator[Comparison]:
    """Yield the comparison with importing TensorFlow; ``folder`` takes a small run."""
    trained = _make_run(folder)
    yield Comparison(
        name="resume.py to the first new step",
        against="importing TensorFlow",
        ours=lambda: _seconds_to_first_step(trained, folder / "copy"),
        reference=lambda: run([sys.executable, "-c", "import tensorflow"]),
        quantity="time",
        goal=2.0,
    )
