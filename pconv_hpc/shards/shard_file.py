"""Shards: HDF5 files of square RGB photos, laid out so that they can be memory-mapped.

A shard holds, in this order and all contiguous:

``images``            uint8 (N, S, S, 3), RGB
``keys``              fixed-length UTF-8 (N,): where in the source each photo comes from
``crc32``             uint32 (N,): ``zlib.crc32`` of each image's bytes
``rejected_keys``     fixed-length UTF-8 (R,): photos of this shard's slice that could not be read
``rejected_reasons``  fixed-length UTF-8 (R,)

and attributes that describe it, ``format_version`` first. The bytes of a shard follow from its
content alone: no time stamps, a fixed order of creation, and the oldest HDF5 file format.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.arrays.hdf5 import (
    get_contiguous_dataset,
    h5py,
    open_for_reading,
    open_for_writing,
)
from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.shards.shard_index import (
    FORMAT_VERSION,
    INDEX_NAME,
    ShardEntry,
    ShardIndex,
    read_index,
)

# Every mapping holds a file descriptor, and a process may often have no more than 1024 of them.
_MAX_MAPPED_SHARDS = 256
# What a shard and its index both say about where they come from.
_ORIGIN = ("split", "seed", "source_fingerprint", "command")


def write_shard(
    path: Path,
    images: np.ndarray,
    keys: Sequence[str],
    *,
    attributes: Mapping[str, str | int | float],
    rejected: Sequence[tuple[str, str]] = (),
) -> ShardEntry:
    """Write one shard atomically and return its index entry.

    Args:
        path: the file; what was there is replaced.
        images: uint8 (N, S, S, 3).
        keys: N names.
        attributes: what describes the shard (seed, split, command, …), stored in this order.
        rejected: (key, reason) of the photos that could not be read.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[0] != len(keys):
        raise ValueError(f"{len(keys)} keys with {images.dtype} images of shape {images.shape}")
    columns = {
        "keys": _text_column(keys),
        "crc32": np.array([zlib.crc32(image) for image in images], dtype=np.uint32),
        "rejected_keys": _text_column([key for key, _ in rejected]),
        "rejected_reasons": _text_column([reason for _, reason in rejected]),
    }
    with atomic.atomic_path(path) as temporary:
        with open_for_writing(temporary, libver=("earliest", "v110")) as file:
            file.attrs["format_version"] = FORMAT_VERSION
            for name, value in attributes.items():
                file.attrs[name] = value
            file.create_dataset("images", data=images, track_times=False)
            for name, column in columns.items():
                file.create_dataset(name, data=column, track_times=False)
        entry = ShardEntry(
            file=Path(path).name,
            num_images=len(keys),
            sha256=atomic.sha256_of(temporary),
            bytes=temporary.stat().st_size,
        )
    return entry


def _text_column(texts: Sequence[str]) -> np.ndarray:
    """Return texts as fixed-length UTF-8: variable-length text would not be contiguous."""
    encoded = [text.encode("utf-8") for text in texts]
    length = max((len(text) for text in encoded), default=0) or 1
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


@dataclass(frozen=True)
class _MappedShard:
    images: np.ndarray  # uint8 (N, S, S, 3), a view of the file
    keys: np.ndarray  # bytes (N,)
    checksums: np.ndarray  # uint32 (N,), CRC-32 of each image
    attributes: dict[str, Any]


def map_shard(path: Path, *, image_size: int | None = None) -> _MappedShard:
    """Memory-map one shard after checking its layout.

    Raises:
        UsageError: the file is no shard, is damaged, or its images do not lie in one piece.
    """
    with open_for_reading(path) as file:
        version = file.attrs.get("format_version")
        if not np.array_equal(version, FORMAT_VERSION):
            raise UsageError(
                f"{path}: shard format version {version}, expected {FORMAT_VERSION}; pack again"
            )
        dataset, keys, checksums = (
            get_contiguous_dataset(file, name) for name in ("images", "keys", "crc32")
        )
        shape = dataset.shape
        size = image_size or (shape[1] if len(shape) == 4 else None)
        if dataset.dtype != np.uint8 or len(shape) != 4 or shape[1:] != (size, size, 3):
            raise UsageError(
                f"{path}: 'images' is {dataset.dtype} of shape {shape}; expected uint8 "
                f"(N, {size}, {size}, 3)"
            )
        if keys.shape != shape[:1] or keys.dtype.kind != "S":
            raise UsageError(
                f"{path}: 'keys' is {keys.dtype} of shape {keys.shape}; expected fixed-length "
                f"text of shape {shape[:1]}"
            )
        if checksums.shape != shape[:1] or checksums.dtype != np.uint32:
            raise UsageError(
                f"{path}: 'crc32' is {checksums.dtype} of shape {checksums.shape}; expected uint32 "
                f"of shape {shape[:1]}"
            )
        described = (keys[()], checksums[()], dict(file.attrs))
        if shape[0] == 0:
            return _MappedShard(np.empty(shape, np.uint8), *described)
        images = np.memmap(path, np.uint8, "r", dataset.id.get_offset(), shape)
        # a memmap is slow to take parts of
        return _MappedShard(images.view(np.ndarray), *described)


def shard_attributes(path: Path) -> dict[str, Any]:
    """Return what a shard says about itself: split, seed, command and so on."""
    with open_for_reading(path) as file:
        return dict(file.attrs)


def read_rejected(path: Path) -> list[tuple[str, str]]:
    """Return the (key, reason) pairs of the photos a shard had to leave out."""
    with open_for_reading(path) as file:
        columns = [
            get_contiguous_dataset(file, name) for name in ("rejected_keys", "rejected_reasons")
        ]
        if columns[0].shape != columns[1].shape or any(
            len(column.shape) != 1 or column.dtype.kind != "S" for column in columns
        ):
            raise UsageError(
                f"{path}: 'rejected_keys' and 'rejected_reasons' are "
                f"{' and '.join(f'{c.dtype} of shape {c.shape}' for c in columns)}; expected "
                "fixed-length text of one length: delete the shard and pack again"
            )
        keys, reasons = (
            [text.decode("utf-8", "replace") for text in column[()]] for column in columns
        )
        return list(zip(keys, reasons, strict=True))


def damaged_images(path: Path) -> list[str]:
    """Return the keys of the images of a shard whose bytes do not match their CRC-32."""
    shard = map_shard(path)
    return [
        key.decode("utf-8", "replace")
        for key, image, crc in zip(shard.keys, shard.images, shard.checksums, strict=True)
        if zlib.crc32(image) != crc
    ]


class ShardReader(Closing):
    """Random access to all images of a pack, by their position in it.

    Opening reads the index and checks that each shard is there with its size; a shard is mapped
    when first read from. Images are copied out of the page cache, without any decoding. One
    reader may be used by several threads; every process opens its own.

    Args:
        index_path: the ``index.json`` of the pack, or its folder.
        check_sizes: where not, a missing or truncated shard is told when it is read, or verified.

    Raises:
        UsageError: the index or a shard is missing, damaged or of another kind.
    """

    def __init__(self, index_path: Path, *, check_sizes: bool = True) -> None:
        index_path = Path(index_path)
        self._index_path = index_path / INDEX_NAME if index_path.is_dir() else index_path
        self._index = read_index(self._index_path)
        if check_sizes:
            for entry in self._index.shards:
                self._check_size(entry)
        self._ends = np.cumsum([entry.num_images for entry in self._index.shards], dtype=np.int64)
        self._mapped: OrderedDict[int, _MappedShard] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def index(self) -> ShardIndex:
        """Everything ``index.json`` says."""
        return self._index

    @property
    def num_images(self) -> int:
        return self._index.num_images

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return self._index.image_size

    @property
    def split(self) -> str:
        return self._index.split

    @property
    def fingerprint(self) -> str:
        """SHA-256 that is equal for equal packs; it follows from the shards' checksums."""
        return self._index.fingerprint

    def image_views(self, indices: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Return the images at ``indices`` (n,), in that order, as they lie in the page cache.

        Each is a read-only uint8 (S, S, 3); reading one reads its file, and its map stays open as
        long as the view is there.

        Raises:
            IndexError: an index is not in ``[0, num_images)``.
        """
        indices = np.asarray(indices, dtype=np.int64)
        views: dict[int, np.ndarray] = {}
        for number, where, rows in self._by_shard(indices):
            images = self._shard(number).images
            views |= {place: images[row] for place, row in zip(where, rows, strict=True)}
        return [views[place] for place in range(len(indices))]

    def images(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return copies of the images at ``indices`` (n,) as uint8 (n, S, S, 3), in that order.

        Raises:
            IndexError: an index is not in ``[0, num_images)``.
        """
        views = self.image_views(indices)
        result = np.empty((len(views), self.image_size, self.image_size, 3), dtype=np.uint8)
        for copy, view in zip(result, views, strict=True):
            copy[...] = view
        return result

    def key(self, index: int) -> str:
        """Return where in the source image ``index`` comes from, such as ``class/photo.JPEG``."""
        number, row = self._place(index)
        key: bytes = self._shard(number).keys[row]
        return key.decode("utf-8", "replace")

    def checksums(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the CRC-32, uint32 (n,), that the images at ``indices`` had when packed."""
        indices = np.asarray(indices, dtype=np.int64)
        result = np.empty(len(indices), np.uint32)
        for number, where, rows in self._by_shard(indices):
            result[where] = self._shard(number).checksums[rows]
        return result

    def shard_path(self, index: int) -> Path:
        """Return the file that image ``index`` lies in."""
        return self._path(self._index.shards[self._place(index)[0]])

    def verify(self) -> list[str]:
        """Read everything; return what is damaged, one message per finding. Empty: all is well."""
        numbers = range(len(self._index.shards))
        return [message for number in numbers for message in self.verify_shard(number)]

    def verify_shard(self, number: int) -> Iterator[str]:
        """Check one shard's SHA-256, then the CRC-32 of its images; yield what is wrong.

        The SHA-256 comes first, because a damaged file may keep the HDF5 library busy forever.
        """
        entry = self._index.shards[number]
        path = self._path(entry)
        try:
            self._check_size(entry)
            if atomic.sha256_of(path) != entry.sha256:
                yield f"{path}: its SHA-256 is not the one in {self._index_path.name}"
            for key in damaged_images(path):
                yield f"{path}: image {key!r} is damaged"
            self._open(number)
        except UsageError as error:
            yield str(error)
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"

    def close(self) -> None:
        """Let go of all mapped files. Reading afterwards raises ``ValueError``."""
        with self._lock:
            self._mapped.clear()
            self._closed = True

    def _path(self, entry: ShardEntry) -> Path:
        return self._index_path.parent / entry.file

    def _check_size(self, entry: ShardEntry) -> None:
        path = self._path(entry)
        try:
            found = path.stat().st_size
        except OSError as error:
            raise UsageError(
                f"{path}: cannot read this shard ({error.strerror}), which {self._index_path} "
                "names; run pconv-hpc pack again to rebuild it"
            ) from error
        if found != entry.bytes:
            raise UsageError(
                f"{path}: {found} bytes, but {self._index_path} says {entry.bytes}; it is "
                "truncated or from another pack: delete it and run pconv-hpc pack again"
            )

    def _by_shard(self, indices: np.ndarray) -> Iterator[tuple[int, Any, np.ndarray]]:
        """Yield (shard, positions in ``indices``, rows in the shard) for each shard needed."""
        if indices.size and (indices.min() < 0 or indices.max() >= self.num_images):
            raise IndexError(
                f"image {indices.min()} or {indices.max()} is not among the {self.num_images} "
                f"of {self._index_path}"
            )
        numbers = np.searchsorted(self._ends, indices, side="right")
        for number in np.unique(numbers):
            where = np.flatnonzero(numbers == number)
            start = self._ends[number] - self._index.shards[number].num_images
            yield int(number), where, indices[where] - start

    def _place(self, index: int) -> tuple[int, int]:
        """Return the shard that image ``index`` lies in, and its row there."""
        number, _, rows = next(self._by_shard(np.array([index], dtype=np.int64)))
        return number, int(rows[0])

    def _shard(self, number: int) -> _MappedShard:
        with self._lock:
            if self._closed:
                raise ValueError(f"the reader of {self._index_path} is closed")
            if number not in self._mapped:
                self._mapped[number] = self._open(number)
                if len(self._mapped) > _MAX_MAPPED_SHARDS:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(number)
            return self._mapped[number]

    def _open(self, number: int) -> _MappedShard:
        entry = self._index.shards[number]
        shard = map_shard(self._path(entry), image_size=self.image_size)
        self._check_origin(number, shard.attributes)
        if len(shard.images) != entry.num_images:
            raise UsageError(
                f"{self._path(entry)}: holds {len(shard.images)} images, but {self._index_path} "
                f"says {entry.num_images}; delete it and run pconv-hpc pack again"
            )
        return shard

    def _check_origin(self, number: int, attributes: Mapping[str, Any]) -> None:
        """Refuse a shard that says it is another one, or of another pack than the index's."""
        expected = {name: getattr(self._index, name) for name in _ORIGIN} | {"shard": number}
        for name, value in expected.items():
            found = attributes.get(name, value)
            if not np.array_equal(found, value):
                raise UsageError(
                    f"{self._path(self._index.shards[number])}: its {name} is {str(found)[:80]}, "
                    f"but {self._index_path} says {str(value)[:80]}; it was swapped with another "
                    "shard: put the right one back, or delete it and run pconv-hpc pack again"
                )
