"""``index.json``: what a folder of shards holds, in which files, with which checksums."""

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import require
from pconv_hpc.foundation.json_files import read_json

FORMAT_VERSION = 1
INDEX_NAME = "index.json"
MAX_IMAGE_SIZE = 4096  # pixels; a larger square in an index is a mistake or an attack


@dataclass(frozen=True)
class ShardEntry:
    """One shard file: its name beside the index, how many images it holds, and its checksum."""

    file: str
    num_images: int
    sha256: str  # of the whole file, hexadecimal
    bytes: int  # size of the whole file

    def __post_init__(self) -> None:
        name = self.file
        require(
            name not in ("", ".", "..") and not any(c in name for c in "/\\\0"),
            f"names the shard {name!r}; expected a plain name beside the index",
        )
        require(min(self.num_images, self.bytes) >= 0, f"{name}: num_images or bytes is below 0")


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """The content of ``index.json``. The order of the shards is the order of the images."""

    format_version: int = FORMAT_VERSION
    split: str
    image_size: int  # side of the square images, pixels
    seed: int  # of the permutation of the source's photos
    fraction: float  # of the source's photos that was packed
    num_images: int
    num_rejected: int
    source_fingerprint: str
    command: str
    shards: tuple[ShardEntry, ...]
    fingerprint: str  # of the packed images: see ``fingerprint_of``

    def __post_init__(self) -> None:
        require(
            self.format_version == FORMAT_VERSION,
            f"format_version is {self.format_version}; this program reads {FORMAT_VERSION}, and "
            "the version that packed the photos reads theirs",
        )
        require(
            1 <= self.image_size <= MAX_IMAGE_SIZE,
            f"image_size is {self.image_size}; expected 1 to {MAX_IMAGE_SIZE}",
        )
        for name in ("seed", "num_images", "num_rejected"):
            require(getattr(self, name) >= 0, f"{name} is below 0")
        counted = sum(shard.num_images for shard in self.shards)
        require(
            counted == self.num_images,
            f"num_images is {self.num_images}, but the shards add up to {counted}",
        )
        require(
            len({shard.file for shard in self.shards}) == len(self.shards), "names a shard twice"
        )
        require(
            self.fingerprint == fingerprint_of(self.shards),
            "its fingerprint does not match its shards' checksums",
        )


def fingerprint_of(shards: Iterable[ShardEntry]) -> str:
    """Return the SHA-256 over the shards' SHA-256, in order: equal for equal packs."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def write_index(out_dir: Path, index: ShardIndex) -> Path:
    """Write ``index.json`` into ``out_dir`` atomically and return its path."""
    path = Path(out_dir) / INDEX_NAME
    atomic.write_json(path, dataclasses.asdict(index))
    return path


def is_pack(path: Path) -> bool:
    """Return whether a path is a pack's ``index.json``, or its folder.

    A folder of photos may hold some ``index.json``, but not beside HDF5 files.
    """
    path = Path(path)
    return path.name == INDEX_NAME or ((path / INDEX_NAME).is_file() and any(path.glob("*.h5")))


def read_index(path: Path) -> ShardIndex:
    """Read and check an ``index.json``; the shards themselves are not touched.

    Raises:
        UsageError: the file is missing, is no such index, contradicts itself, or names a file
            outside its own folder.
    """
    return read_json(
        Path(path),
        ShardIndex,
        kind="an index of shards, as pconv-hpc pack writes it when a pack is complete",
        advice="run pconv-hpc pack again",
    )
