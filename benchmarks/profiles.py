"""Where the time goes in a training step and in erasing a folder: pictures and tables."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # compute nodes have no display

import matplotlib.pyplot as plt

from benchmarks import REPOSITORY
from benchmarks.flame import find_py_spy, record, samples_by_function
from benchmarks.photos import write_mixed_photos
from benchmarks.processes import measured
from pconv_hpc.foundation import atomic

STEP_PICTURE = "training_step.png"
ERASING_PICTURE = "erasing.svg"

_NUM_PHOTOS = 400  # enough that importing TensorFlow takes the smaller part of the picture
_NUM_TYPES = 12
# What erases the photos of a folder, each on one thread at a time; see inpainting/batches.py.
_STAGES = {
    "reading photos and masks": ("read_photo", "read_mask"),
    "cutting tiles and pasting": ("fill_photo",),
    "the network": ("Inpainter.predict",),
    "encoding and writing photos": ("write_photo",),
}


def profile_everything(folder: Path, *options: str) -> Iterator[str]:
    """Profile a training step and the erasing of a folder; yield lines as they are known.

    Args:
        folder: takes ``STEP_PICTURE`` and ``ERASING_PICTURE``.
        options: of ``benchmarks.step_profile``.

    Raises:
        UsageError: py-spy is not installed.
        PconvError: a program failed.
    """
    find_py_spy()  # before the minutes that the training step takes
    yield from _profile_step(folder, options)
    yield from _profile_erasing(folder)


def _profile_step(folder: Path, options: Sequence[str]) -> Iterator[str]:
    found = measured([sys.executable, "-m", "benchmarks.step_profile", *options])
    per_step, operations = found["seconds_per_step"], found["operations"]
    total = sum(seconds for *_, seconds in operations)
    yield f"training step: {per_step:.3g} s under the profiler, {total:.3g} s of it in operations"
    parts: Counter[tuple[str, str]] = Counter()
    for part, direction, _, seconds in operations:
        parts[part, direction] += seconds
    for (part, direction), seconds in parts.most_common():
        yield f"  {seconds / total:6.1%}  {part}, {direction}"
    draw_operations(folder / STEP_PICTURE, operations)
    yield f"  {folder / STEP_PICTURE}"


def draw_operations(path: Path, operations: Sequence[Sequence[Any]]) -> None:
    """Draw the types of operations that take longest, each bar divided by part and direction.

    ``operations`` has rows of part, direction, type and seconds.
    """
    by_type: Counter[str] = Counter()
    for _, _, kind, seconds in operations:
        by_type[kind] += seconds
    kinds = [kind for kind, _ in by_type.most_common(_NUM_TYPES)]
    total = sum(by_type.values())
    places = sorted({(part, direction) for part, direction, *_ in operations})
    figure, axis = plt.subplots(figsize=(9, 0.34 * len(kinds) + 1.2), layout="constrained")
    starts = dict.fromkeys(kinds, 0.0)
    for part, direction in places:
        shares = dict.fromkeys(kinds, 0.0)
        for *place, kind, seconds in operations:
            if tuple(place) == (part, direction) and kind in shares:
                shares[kind] += 100 * seconds / total
        axis.barh(
            kinds, list(shares.values()), left=list(starts.values()), label=f"{part}, {direction}"
        )
        starts = {kind: starts[kind] + shares[kind] for kind in kinds}
    axis.invert_yaxis()
    axis.set_xlabel("share of the time of all operations of a training step, %")
    axis.legend(fontsize=8, loc="lower right")
    with atomic.atomic_path(path, durable=False) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def _profile_erasing(folder: Path) -> Iterator[str]:
    from benchmarks.erasing import write_untrained_network

    picture = folder / ERASING_PICTURE
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work)
        write_mixed_photos(photos, _NUM_PHOTOS)
        write_untrained_network(photos / "weights.h5")
        places = [str(photos / name) for name in ("photos", "masks", "erased")]
        weights = ["--weights", str(photos / "weights.h5")]
        command = [sys.executable, str(REPOSITORY / "tools" / "inpaint.py"), *places, *weights]
        record(command, picture, title=f"tools/inpaint.py: {_NUM_PHOTOS} photos of mixed formats")
    samples = samples_by_function(picture.read_text())
    yield f"erasing {_NUM_PHOTOS} photos: time of all threads in the four stages"
    yield from stage_lines(samples)
    yield f"  {picture}"


def stage_lines(samples: Mapping[str, int]) -> list[str]:
    """Return the share of each stage of erasing in the samples of all of them."""
    found = {
        stage: sum(samples.get(name, 0) for name in functions)
        for stage, functions in _STAGES.items()
    }
    total = max(1, sum(found.values()))
    return [f"  {count / total:6.1%}  {stage}" for stage, count in found.items()]
