"""All measurements in groups, each of which can be run alone."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import REPOSITORY
from benchmarks.compare import Comparison, Result, compare
from pconv_hpc.foundation.errors import UsageError

_SECONDS_BETWEEN_SAVES = 300.0  # of the goal: saving every 5 minutes
_STEPS_A_ROUND = 8  # of a training that may wait for its loader
_NETWORK_FOR_SEGMENTATION = REPOSITORY / "tests" / "support" / "assets"


def _compared(comparisons: Iterable[Comparison], rounds: int) -> Iterator[Result]:
    return (compare(comparison, rounds=rounds) for comparison in comparisons)


def _network(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.network import network_comparisons
    from pconv_hpc.foundation.config import ModelConfig

    del folder
    return _compared(network_comparisons(ModelConfig()), rounds)


def _loading(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.loading import loading_comparisons
    from benchmarks.processes import measured

    yield from _compared(loading_comparisons(folder), rounds)
    steps = str(_STEPS_A_ROUND * rounds)
    found = measured([sys.executable, "-m", "benchmarks.waiting", str(folder), steps])
    yield Result.of_one(
        name="waiting for photos and masks",
        against="training steps without VGG16",
        quantity="time",
        goal=0.01,
        ours=found["waiting_seconds"],
        reference=found["step_seconds"],
    )


def _ranks(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.processes import process_comparisons

    del folder
    return _compared(process_comparisons(), rounds)


def _saving(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.processes import measured

    del rounds  # the program saves several times
    found = measured([sys.executable, "-m", "benchmarks.saving", str(folder)])
    yield Result.of_one(
        name="saving 33 million parameters every 5 minutes",
        against="5 minutes",
        quantity="time",
        goal=0.01,
        ours=found["lost_seconds"],
        reference=_SECONDS_BETWEEN_SAVES,
    )
    yield Result.of_one(
        name="the longest stall of such a save",
        against="1 second",
        quantity="time",
        goal=0.5,
        ours=found["stall_seconds"],
        reference=1.0,
    )


def _continuing(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.continuing import continuing_comparisons

    return _compared(continuing_comparisons(folder), rounds)


def _erasing(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.erasing import erasing_comparisons

    return _compared(erasing_comparisons(folder), rounds)


def _segmenting(folder: Path, rounds: int) -> Iterator[Result]:
    from benchmarks.processes import measured

    network = [_NETWORK_FOR_SEGMENTATION / f"small_mask_rcnn.{suffix}" for suffix in ("py", "pth")]
    program = [sys.executable, "-m", "benchmarks.segmenting"]
    for name, files in (("small", network), ("large", [])):
        part = folder / name
        part.mkdir()
        yield Result(**measured([*program, part, rounds, *files]))


GROUPS: dict[str, Callable[[Path, int], Iterator[Result]]] = {
    "network": _network,
    "loading": _loading,
    "ranks": _ranks,
    "saving": _saving,
    "continuing": _continuing,
    "erasing": _erasing,
    "segmenting": _segmenting,
}


def run_groups(names: Iterable[str], folder: Path, rounds: int) -> Iterator[Result]:
    """Measure the named groups, or all, and yield each result as it is there.

    Args:
        names: of ``GROUPS``.
        folder: takes what the measurements write.
        rounds: counted repetitions.

    Raises:
        UsageError: there is no such group.
    """
    chosen = list(names) or list(GROUPS)
    unknown = [name for name in chosen if name not in GROUPS]
    if unknown:
        raise UsageError(f"no measurement {', '.join(unknown)}; there are: {', '.join(GROUPS)}")
    for name in chosen:
        part = folder / name
        part.mkdir()
        yield from GROUPS[name](part, rounds)
