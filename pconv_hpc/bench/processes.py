"""Comparisons of whole processes: ranks, memory, and how long a run takes to get going again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pconv_hpc.bench.compare import Comparison, Work
from pconv_hpc.errors import PconvError
from pconv_hpc.launch import mpirun_command

_PROGRAM = (sys.executable, "-m", "pconv_hpc.bench.steps")
# A quarter of the paper's width, so that a step is short beside the noise of a shared machine.
_RANKS_MODEL = ("--base-channels", "16", "--image-size", "256", "--batch", "8", "--steps", "10")


def measured(command: Sequence[str]) -> dict[str, Any]:
    """Run a program that prints one JSON object as its last line; return that.

    Raises:
        PconvError: it fails, or prints something else.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        tail = done.stderr.strip()[-2000:]
        raise PconvError(f"{' '.join(command)} ended with {done.returncode}: {tail}") from error
    return found


def steps(*options: str, num_ranks: int = 1, launcher: bool = False) -> dict[str, Any]:
    """Return what ``pconv_hpc.bench.steps`` measures with these options."""
    command = [*_PROGRAM, *options]
    return measured(mpirun_command(num_ranks, command) if launcher else command)


def _step_time(*options: str, num_ranks: int = 1, launcher: bool = False) -> Work:
    return lambda: float(
        steps(*options, num_ranks=num_ranks, launcher=launcher)["seconds_per_step"]
    )


def _step_memory(*options: str) -> Work:
    def mebibytes() -> float:
        found = steps("--steps", "2", *options)
        return float(found["peak_mib"] - found["start_mib"])

    return mebibytes


def process_comparisons() -> Iterator[Comparison]:
    """Yield the comparisons whose sides each run in processes of their own."""
    yield Comparison(
        name="a step under mpirun -np 1",
        against="the same without a launcher",
        ours=_step_time(*_RANKS_MODEL, launcher=True),
        reference=_step_time(*_RANKS_MODEL),
        quantity="time",
        goal=1.02,
        self_measured=True,
    )
    yield Comparison(
        name="2 ranks of 1 thread",
        against="1 rank of 2 threads",
        ours=_step_time(*_RANKS_MODEL, "--threads", "1", num_ranks=2, launcher=True),
        reference=_step_time(*_RANKS_MODEL, "--threads", "2"),
        quantity="speed",
        goal=0.95,
        self_measured=True,
    )
    yield Comparison(
        name="training step, peak memory",
        against="plain Conv2D U-Net",
        ours=_step_memory(),
        reference=_step_memory("--plain"),
        quantity="memory",
        goal=1.1,
        self_measured=True,
    )
