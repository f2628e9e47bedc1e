"""How cost grows with size: each a small table and its slope, 1 for linear growth, 2 for square."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processes import steps
from pconv_hpc.photos.sources.sorted_listing import PhotoRow, SortedRows
from pconv_hpc.shards.shard_file import ShardReader, write_shard
from pconv_hpc.shards.shard_index import ShardIndex, fingerprint_of, write_index

_IMAGE_SIZES = (64, 128, 256, 512)
_BATCHES = (1, 2, 4, 8, 16)
_NUM_RANKS = (1, 2)
_NUM_SHARDS = (1, 4, 16, 64, 256)
_NUM_ROWS = (1_000, 10_000, 100_000, 1_000_000)
_ROUNDS = 3
_READS = 4096
_NARROW = ("--base-channels", "16", "--steps", "4")


@dataclass(frozen=True)
class Growth:
    """Cost against size.

    Attributes:
        name: what was measured.
        size: what was varied.
        sizes: how much of it.
        seconds: what it cost, the least of several times.
        slope: of the logarithms: cost grows as ``size ** slope``.
    """

    name: str
    size: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def slope(self) -> float:
        return slope(self.sizes, self.seconds)

    def lines(self) -> list[str]:
        """Return the table as text."""
        head = f"{self.name}: seconds ~ ({self.size}) ^ {self.slope:.2f}"
        rows = zip(self.sizes, self.seconds, strict=True)
        return [head, *(f"  {size:>9,}  {seconds:.4g} s" for size, seconds in rows)]


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the least-squares slope of log(cost) over log(size)."""
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    return float(np.polyfit(x, y, 1)[0])


def _least(work: Callable[[], object]) -> float:
    seconds = math.inf
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        seconds = min(seconds, time.perf_counter() - began)
    return seconds


def _step_seconds(*options: str, num_ranks: int = 1) -> float:
    found = steps(*_NARROW, *options, num_ranks=num_ranks, launcher=num_ranks > 1)
    return float(found["seconds_per_step"])


def _reading(num_shards: int) -> float:
    """Return the seconds for 4,096 images of 32 × 32, drawn from packs of so many shards."""
    rng = np.random.default_rng(0)
    per_shard = _READS // num_shards
    with tempfile.TemporaryDirectory() as folder:
        entries = [
            write_shard(
                Path(folder) / f"train-{number}.h5",
                rng.integers(0, 256, (per_shard, 32, 32, 3), np.uint8),
                [f"{number}-{row}" for row in range(per_shard)],
                attributes={"split": "train"},
            )
            for number in range(num_shards)
        ]
        index = ShardIndex(
            split="train",
            image_size=32,
            seed=0,
            fraction=1.0,
            num_images=_READS,
            num_rejected=0,
            source_fingerprint="",
            command="",
            shards=tuple(entries),
            fingerprint=fingerprint_of(entries),
        )
        write_index(Path(folder), index)
        order = rng.permutation(_READS).reshape(-1, 32)
        with ShardReader(Path(folder)) as reader:
            return _least(lambda: [reader.images(batch) for batch in order])


def _listing(num_rows: int) -> float:
    """Return the seconds to sort so many rows of a manifest, a part at a time, and to read them."""
    rng = np.random.default_rng(0)
    folders, names = rng.integers(0, 1000, num_rows), rng.permutation(num_rows)
    rows = (
        PhotoRow(f"{folder:03d}/photo_{name:08d}.jpg", 100_000)
        for folder, name in zip(folders.tolist(), names.tolist(), strict=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with SortedRows(rows, Path(folder)) as ordered:
            assert sum(1 for _ in ordered) == num_rows
        return time.perf_counter() - began


def growths() -> Iterator[Growth]:
    """Measure and yield each table."""
    per_step = "a training step of a quarter of the paper's width"
    yield Growth(
        f"{per_step}, batch 2",
        "pixels",
        tuple(size**2 for size in _IMAGE_SIZES),
        tuple(_step_seconds("--image-size", str(n), "--batch", "2") for n in _IMAGE_SIZES),
    )
    yield Growth(
        f"{per_step}, 128 × 128",
        "images a step",
        _BATCHES,
        tuple(_step_seconds("--image-size", "128", "--batch", str(n)) for n in _BATCHES),
    )
    yield Growth(
        f"{per_step}, 8 images of 128 × 128 on one machine, one thread a rank",
        "ranks",
        _NUM_RANKS,
        tuple(
            _step_seconds("--image-size", "128", "--batch", "8", "--threads", "1", num_ranks=n)
            for n in _NUM_RANKS
        ),
    )
    yield Growth(
        "reading 4,096 images of 32 × 32 in random order",
        "shards",
        _NUM_SHARDS,
        tuple(_reading(n) for n in _NUM_SHARDS),
    )
    yield Growth(
        "sorting and reading a manifest",
        "photos",
        _NUM_ROWS,
        tuple(_listing(n) for n in _NUM_ROWS),
    )
