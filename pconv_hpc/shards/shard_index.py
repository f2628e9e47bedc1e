"""``index.json``: what a folder of shards holds, in which files, with which checksums."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import UsageError

FORMAT_VERSION = 1
INDEX_NAME = "index.json"
MAX_IMAGE_SIZE = 4096  # pixels; a larger square in an index is a mistake or an attack

_MAX_INDEX_BYTES = 64 << 20


@dataclass(frozen=True)
class ShardEntry:
    """One shard file: its name beside the index, how many images it holds, and its checksum."""

    file: str
    num_images: int
    sha256: str  # of the whole file, hexadecimal
    bytes: int  # size of the whole file


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


def fingerprint_of(shards: Iterable[ShardEntry]) -> str:
    """Return the SHA-256 over the shards' SHA-256, in order: equal for equal packs."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def write_index(out_dir: Path, index: ShardIndex) -> Path:
    """Write ``index.json`` into ``out_dir`` atomically and return its path."""
    path = Path(out_dir) / INDEX_NAME
    atomic.write_json(path, dataclasses.asdict(index))
    return path


def read_index(path: Path) -> ShardIndex:
    """Read and check an ``index.json``; the shards themselves are not touched.

    Raises:
        UsageError: the file is missing, is no such index, contradicts itself, or names a file
            outside its own folder.
    """
    path = Path(path)
    fields = _Fields(path, _load_json(path))
    version = fields.integer("format_version")
    if version != FORMAT_VERSION:
        raise UsageError(
            f"{path}: format version {version}, this program reads version {FORMAT_VERSION}: "
            "pack the photos again with it, or use the version that packed them"
        )
    shards = tuple(_read_entry(path, number, value) for number, value in fields.items("shards"))
    index = ShardIndex(
        split=fields.text("split"),
        image_size=fields.integer("image_size", minimum=1, maximum=MAX_IMAGE_SIZE),
        seed=fields.integer("seed"),
        fraction=fields.number("fraction"),
        num_images=fields.integer("num_images"),
        num_rejected=fields.integer("num_rejected"),
        source_fingerprint=fields.text("source_fingerprint"),
        command=fields.text("command"),
        shards=shards,
        fingerprint=fields.text("fingerprint"),
    )
    counted = sum(shard.num_images for shard in shards)
    if counted != index.num_images:
        raise UsageError(
            f"{path}: says {index.num_images} images, but its shards add up to {counted}; "
            "was it edited? run pconv-hpc pack again"
        )
    if len({shard.file for shard in shards}) != len(shards):
        raise UsageError(f"{path}: names a shard twice; run pconv-hpc pack again")
    if index.fingerprint != fingerprint_of(shards):
        raise UsageError(
            f"{path}: its fingerprint does not match its shards' checksums; "
            "run pconv-hpc pack again"
        )
    return index


def _load_json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_INDEX_BYTES:
            raise UsageError(f"{path}: larger than 64 MiB; that is no index of shards")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the index ({error.strerror}); expected the {INDEX_NAME} that "
            "pconv-hpc pack writes when a pack is complete"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON ({error}); run pconv-hpc pack again") from error


def _read_entry(path: Path, number: int, value: Any) -> ShardEntry:
    fields = _Fields(path, value, where=f"shard {number}: ")
    entry = ShardEntry(
        file=fields.text("file"),
        num_images=fields.integer("num_images"),
        sha256=fields.text("sha256"),
        bytes=fields.integer("bytes"),
    )
    if entry.file in ("", ".", "..") or any(c in entry.file for c in "/\\\0"):
        raise UsageError(
            f"{path}: shard {number} is the file {entry.file!r}; expected a plain name beside the "
            "index, so it is refused"
        )
    return entry


class _Fields:
    """Typed access to one JSON object, with errors that name the file and the field."""

    def __init__(self, path: Path, mapping: Any, *, where: str = "") -> None:
        self._path, self._where = path, where
        self._mapping = mapping if isinstance(mapping, dict) else {}

    def _error(self, name: str, expected: str) -> UsageError:
        found = repr(self._mapping[name])[:80] if name in self._mapping else "missing"
        return UsageError(
            f"{self._path}: {self._where}{name!r} is {found}, expected {expected}; "
            "is it an index of shards made by pconv-hpc pack?"
        )

    def text(self, name: str) -> str:
        value = self._mapping.get(name)
        if not isinstance(value, str):
            raise self._error(name, "text")
        return value

    def integer(self, name: str, *, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
        value = self._mapping.get(name)
        if type(value) is not int or not minimum <= value <= maximum:
            raise self._error(name, f"a whole number from {minimum} to {maximum}")
        return value

    def number(self, name: str) -> float:
        value = self._mapping.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(name, "a number")
        return float(value)

    def items(self, name: str) -> Iterable[tuple[int, Any]]:
        value = self._mapping.get(name)
        if not isinstance(value, list):
            raise self._error(name, "a list")
        return enumerate(value)
