"""Programs that are measured in processes of their own; comparisons of ranks and of memory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import REPOSITORY
from benchmarks.compare import Comparison, Work
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.foundation.launchers import mpirun_command

_PROGRAM = (sys.executable, "-m", "benchmarks.steps")
# A quarter of the paper's width, so that a step is short beside the noise of a shared machine.
_RANKS_MODEL = ("--base-channels", "16", "--image-size", "256", "--batch", "8", "--steps", "10")


def environment() -> dict[str, str]:
    """Return the variables with which a process finds the modules of this checkout first."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def run(command: Sequence[object]) -> str:
    """Run a program; return what it prints.

    Raises:
        PconvError: it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        tail = done.stderr.strip()[-2000:]
        raise PconvError(f"{' '.join(words)} exited with {done.returncode}: {tail}")
    return done.stdout


def run_tool(name: str, *words: object) -> None:
    """Run a program of ``tools/``.

    Raises:
        PconvError: it fails.
    """
    run([sys.executable, REPOSITORY / "tools" / name, *words])


def measured(command: Sequence[object]) -> dict[str, Any]:
    """Run a program that prints one JSON object as its last line; return that.

    Raises:
        PconvError: it fails.
    """
    found: dict[str, Any] = json.loads(run(command).splitlines()[-1])
    return found


def steps(*options: str, num_ranks: int = 1, launcher: bool = False) -> dict[str, Any]:
    """Return what ``benchmarks.steps`` measures with these options."""
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
