"""What a pack will hold: which photos, in which order, in which shard. Decided before it starts.

Everything follows from the list of photos and the options, never from the number of ranks: a
seeded permutation of the sorted list is cut into slices, and each shard owns one. Which photos are
unreadable is known only once they are decoded, so a shard simply holds fewer images than its slice
is long; no photo ever moves to another shard.
"""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.passed_over import list_kinds
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.shards.shard_index import FORMAT_VERSION, MAX_IMAGE_SIZE

_SHARD_BYTES = 1 << 30
_MIN_SHARDS = 16
_BLOCK_IMAGES = 32  # read together in training; a shard should hold whole blocks


@dataclass(frozen=True, kw_only=True)
class PackOptions:
    """What a person may choose.

    Raises:
        UsageError: a value is out of range.
    """

    split: str
    image_size: int = 320  # side of the square images, pixels
    fraction: float = 1.0  # of the source's photos to pack
    images_per_shard: int | None = None  # None: see ``default_images_per_shard``
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.split in ("train", "val"), f"--split {self.split}: expected train or val")
        _require(
            8 <= self.image_size <= MAX_IMAGE_SIZE,
            f"--size {self.image_size}: expected 8 to {MAX_IMAGE_SIZE} pixels",
        )
        _require(
            0 < self.fraction <= 1,
            f"--fraction {self.fraction}: expected a share above 0, at most 1 (0.1 for 10%)",
        )
        _require(
            self.images_per_shard is None or self.images_per_shard >= 1,
            f"--images-per-shard {self.images_per_shard}: expected at least 1",
        )
        _require(0 <= self.seed < 2**63, f"--seed {self.seed}: expected 0 to 2^63 - 1")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def default_images_per_shard(num_photos: int, image_size: int) -> int:
    """Return how many photos go into one shard: 1 GiB of them, or a sixteenth of a small pack.

    1 GiB is large enough for a parallel file system to read at full speed, and small enough that a
    rank holds one shard in memory and an interrupted pack loses minutes. Small packs still get up
    to 16 shards, so that several ranks have something to do. Always a multiple of 32.
    """
    by_bytes = _SHARD_BYTES // (3 * image_size**2) // _BLOCK_IMAGES
    by_count = math.ceil(num_photos / _MIN_SHARDS / _BLOCK_IMAGES)
    return max(1, min(by_bytes, by_count)) * _BLOCK_IMAGES


def seeded_order(count: int, seed: int) -> np.ndarray:
    """Return a permutation of ``range(count)`` as int64, the same on every machine and version.

    It sorts the raw output of PCG64, which NumPy promises never to change; its
    ``Generator.permutation`` carries no such promise.
    """
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


@dataclass(frozen=True, kw_only=True)
class PackPlan:
    """A pack, complete but for the pixels. See ``plan_pack``."""

    options: PackOptions
    source_name: str
    source_fingerprint: str
    images_per_shard: int
    photos: np.ndarray  # int64 (N,): positions in the source, in the order of the pack

    @property
    def num_shards(self) -> int:
        return math.ceil(len(self.photos) / self.images_per_shard)

    @property
    def image_bytes(self) -> int:
        """Bytes of one packed image."""
        return 3 * self.options.image_size**2

    @property
    def command(self) -> str:
        """The command that makes this pack, without what does not change it (paths, ranks)."""
        options = {
            "--split": self.options.split,
            "--size": self.options.image_size,
            "--fraction": self.options.fraction,
            "--images-per-shard": self.images_per_shard,
            "--seed": self.options.seed,
        }
        words = [str(word) for item in options.items() for word in item]
        return shlex.join(["pack.py", self.source_name, "OUT", *words])

    def shard_name(self, number: int) -> str:
        """Return the file name of shard ``number``."""
        return f"{self.options.split}-{number:05d}-of-{self.num_shards:05d}.h5"

    def shard_photos(self, number: int) -> np.ndarray:
        """Return the positions in the source of shard ``number``'s photos, int64, in order."""
        start = number * self.images_per_shard
        return self.photos[start : start + self.images_per_shard]

    def identity(self) -> dict[str, Any]:
        """Return what two packs must share for one to continue the other."""
        return {
            "format_version": FORMAT_VERSION,
            "split": self.options.split,
            "image_size": self.options.image_size,
            "fraction": self.options.fraction,
            "images_per_shard": self.images_per_shard,
            "seed": self.options.seed,
            "source": self.source_name,
            "source_fingerprint": self.source_fingerprint,
        }

    def attributes(self, number: int) -> dict[str, str | int | float]:
        """Return what shard ``number`` says about itself."""
        return {
            "split": self.options.split,
            "image_size": self.options.image_size,
            "seed": self.options.seed,
            "shard": number,
            "num_shards": self.num_shards,
            "source_fingerprint": self.source_fingerprint,
            "command": self.command,
        }


def plan_pack(source: PhotoSource, options: PackOptions, *, source_path: Path) -> PackPlan:
    """Decide everything about packing ``source`` with ``options``.

    The photos are the first part of a permutation of all, so that with one seed a smaller
    ``fraction`` is contained in a larger one.

    Raises:
        UsageError: the source holds no photo.
    """
    if not source.keys:
        others = list_kinds(source.ignored) or "nothing"
        raise UsageError(
            f"{source_path}: holds no photos (left out: {others}); "
            "expected files named *.jpg, *.JPEG, *.png, *.webp, *.tif …, or ImageNet's tar files"
        )
    num_photos = max(1, math.floor(options.fraction * len(source.keys) + 0.5))
    return PackPlan(
        options=options,
        source_name=source.name,
        source_fingerprint=source.fingerprint,
        images_per_shard=options.images_per_shard
        or default_images_per_shard(num_photos, options.image_size),
        photos=seeded_order(len(source.keys), options.seed)[:num_photos],
    )
