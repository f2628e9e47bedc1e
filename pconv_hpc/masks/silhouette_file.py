"""Silhouettes of objects that were found in photos, many in one HDF5 file.

Of N silhouettes from one of C classes each the file holds, all contiguous:

``counts``       uint32 (R,), the run lengths of all outlines, as in :mod:`run_lengths`
``ends``         int64 (N,), where each one's run lengths end
``sizes``        uint16 (N, 2), height and width of each outline, cropped to the object
``photo_sizes``  uint32 (N, 2), height and width of the photo it was found in
``boxes``        uint32 (N, 4), x0, y0, x1, y1 in the photo, the ends exclusive
``scores``       float32 (N,), the network's confidence, 0 to 1
``classes``      uint16 (N,), indices into ``class_names``, fixed-length UTF-8 (C,)
``photos``       fixed-length UTF-8 (N,), the name of the photo

Attributes: ``format_version``; ``recipe``, JSON, what the silhouettes were collected by; ``sha256``
of all that the datasets hold. The bytes follow from the content alone.
"""

import hashlib
import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.arrays.hdf5 import (
    get_contiguous_dataset,
    h5py,
    open_for_reading,
    open_for_writing,
    text_attribute,
)
from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.json_files import parse_json
from pconv_hpc.masks.run_lengths import decode_runs

FORMAT_VERSION = 1
MAX_SILHOUETTES = 1_000_000
MAX_SIDE = 512  # of an outline, in pixels: masks of networks are no finer
_MAX_CLASSES = 1 << 16
_NUMBERS: dict[str, tuple[type, tuple[int, ...]]] = {  # dtype, and shape after N
    "ends": (np.int64, ()),
    "sizes": (np.uint16, (2,)),
    "photo_sizes": (np.uint32, (2,)),
    "boxes": (np.uint32, (4,)),
    "scores": (np.float32, ()),
    "classes": (np.uint16, ()),
}
_NAMES = ("counts", *_NUMBERS, "class_names", "photos")  # in this order in the file


@dataclass(frozen=True, kw_only=True)
class Silhouette:
    """The outline of one object.

    Attributes:
        photo: the name of its photo.
        photo_size: (height, width) of the photo.
        box: (x0, y0, x1, y1) around the object in the photo, the ends exclusive.
        class_name: what it is.
        score: the network's confidence, 0 to 1.
        size: (height, width) of the outline, cropped to the object; at most ``MAX_SIDE``.
        counts: its run lengths, uint32.
    """

    photo: str
    photo_size: tuple[int, int]
    box: tuple[int, int, int, int]
    class_name: str
    score: float
    size: tuple[int, int]
    counts: NDArray[np.uint32]

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the outline: equal for equal outlines."""
        return hashlib.sha256(repr(self.size).encode() + self.counts.tobytes()).digest()

    @property
    def place(self) -> tuple[str, tuple[int, int, int, int], str, float]:
        """What silhouettes are put in order by."""
        return self.photo, self.box, self.class_name, -self.score


def distinct(silhouettes: Iterable[Silhouette], max_objects: int) -> list[Silhouette]:
    """Return silhouettes without repeated outlines, ordered by photo, at most ``max_objects``.

    If there are more, a random sample is kept, seeded by the outlines themselves. So the result
    does not depend on the order they come in, and memory is bounded however many come.
    """
    kept: dict[bytes, Silhouette] = {}
    for silhouette in silhouettes:
        same = kept.get(silhouette.digest)
        if same is None or silhouette.place < same.place:
            kept[silhouette.digest] = silhouette
        if len(kept) >= 2 * max_objects:
            kept = _drawn(kept, max_objects)
    return sorted(_drawn(kept, max_objects).values(), key=lambda silhouette: silhouette.place)


def _drawn(kept: dict[bytes, Silhouette], count: int) -> dict[bytes, Silhouette]:
    return {digest: kept[digest] for digest in heapq.nsmallest(count, kept)}


def write_silhouettes(
    path: Path, silhouettes: Sequence[Silhouette], recipe: Mapping[str, Any]
) -> None:
    """Write a silhouette file, whole or not at all.

    Args:
        path: the file; what was there is replaced.
        silhouettes: at least one, at most ``MAX_SILHOUETTES``.
        recipe: what they were collected by; JSON can hold it.
    """
    names = sorted({one.class_name for one in silhouettes})
    positions = {name: position for position, name in enumerate(names)}
    columns: dict[str, Any] = {
        "ends": np.cumsum([len(one.counts) for one in silhouettes]),
        "sizes": [one.size for one in silhouettes],
        "photo_sizes": [one.photo_size for one in silhouettes],
        "boxes": [one.box for one in silhouettes],
        "scores": [one.score for one in silhouettes],
        "classes": [positions[one.class_name] for one in silhouettes],
    }
    arrays: dict[str, NDArray[Any]] = {
        name: np.array(columns[name], dtype) for name, (dtype, _) in _NUMBERS.items()
    }
    arrays["counts"] = np.concatenate([one.counts for one in silhouettes])
    arrays["class_names"] = _text_column(names)
    arrays["photos"] = _text_column([one.photo for one in silhouettes])
    with (
        atomic_path(Path(path)) as temporary,
        open_for_writing(temporary, libver=("earliest", "v110")) as file,
    ):
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["recipe"] = json.dumps(recipe, sort_keys=True)
        file.attrs["sha256"] = _sha256(arrays)
        for name in _NAMES:
            file.create_dataset(name, data=arrays[name], track_times=False)


def _text_column(texts: Sequence[str]) -> NDArray[np.bytes_]:
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded)) or 1))


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in _NAMES:
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


class SilhouetteFile:
    """Read-only view of a silhouette file; the run lengths stay on disk (memory-mapped).

    What the file claims is checked before memory is taken: no array is larger than the file.

    Attributes:
        path: the file.
        num_silhouettes: N.
        class_names: the names of all classes in it, sorted.
        classes: uint16 (N,), indices into ``class_names``.
        scores: float32 (N,).
        sizes, photo_sizes, boxes: as the module tells.
        recipe: what the silhouettes were collected by.
        fingerprint: SHA-256 of the content, in hexadecimal, as the file states it.

    Raises:
        UsageError: the file is missing, damaged or no silhouette file of this format version.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with open_for_reading(self.path) as file:
            version = file.attrs.get("format_version")
            if not np.array_equal(version, FORMAT_VERSION) or "counts" not in file:
                raise UsageError(
                    f"{self.path}: not a silhouette file of format version {FORMAT_VERSION}; "
                    "collect one with pconv-hpc harvest"
                )
            datasets = {name: get_contiguous_dataset(file, name) for name in _NAMES}
            self._check_shapes(datasets)
            self._arrays = {
                name: np.asarray(dataset[()])
                for name, dataset in datasets.items()
                if name != "counts"
            }
            counts = datasets["counts"]
            offset, shape = counts.id.get_offset(), counts.shape
            self.recipe = self._read_recipe(text_attribute(file, "recipe"))
            self.fingerprint = text_attribute(file, "sha256")
        self._arrays["counts"] = np.memmap(self.path, np.uint32, "r", offset, shape)
        self.num_silhouettes = len(self._arrays["ends"])
        self.sizes, self.photo_sizes = self._arrays["sizes"], self._arrays["photo_sizes"]
        self.boxes, self.scores = self._arrays["boxes"], self._arrays["scores"]
        self.classes = self._arrays["classes"]
        self.class_names = tuple(
            name.decode("utf-8", "replace") for name in self._arrays["class_names"]
        )
        self._check_values()

    def _check_shapes(self, datasets: Mapping[str, h5py.Dataset]) -> None:
        num = datasets["ends"].size
        if not 1 <= num <= MAX_SILHOUETTES:
            raise self._damaged(f"{num:,} silhouettes, expected 1 to {MAX_SILHOUETTES:,}")
        expected: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
            name: (np.dtype(dtype), (num, *rest)) for name, (dtype, rest) in _NUMBERS.items()
        }
        expected["counts"] = (np.dtype(np.uint32), (datasets["counts"].size,))
        for name, (dtype, shape) in expected.items():
            found = datasets[name]
            if found.dtype != dtype or found.shape != shape:
                raise self._damaged(
                    f"{name!r} is {found.dtype} {found.shape}, expected {dtype} {shape}"
                )
        num_classes = datasets["class_names"].size
        for name, length in (("photos", num), ("class_names", min(num_classes, _MAX_CLASSES))):
            found = datasets[name]
            if found.dtype.kind != "S" or found.shape != (length,):
                raise self._damaged(
                    f"{name!r} is {found.dtype} {found.shape}, expected {length} texts"
                )

    def _check_values(self) -> None:
        lengths = np.diff(self._arrays["ends"], prepend=0)
        if self._arrays["ends"][-1] != self._arrays["counts"].size or (lengths < 1).any():
            raise self._damaged("'ends' does not fit 'counts'")
        if (self.sizes < 1).any() or (self.sizes > MAX_SIDE).any():
            raise self._damaged(f"has outlines of 0 or of more than {MAX_SIDE} pixels a side")
        if (lengths > self.sizes.astype(np.int64).prod(axis=1) + 1).any():
            raise self._damaged("has more run lengths than pixels")
        if (self.classes >= len(self.class_names)).any():
            raise self._damaged("has classes without a name")

    def _read_recipe(self, text: str) -> dict[str, Any]:
        try:
            return parse_json(text, dict[str, Any], "its recipe")
        except UsageError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> UsageError:
        return UsageError(f"{self.path}: {what}; damaged? Run pconv-hpc harvest again")

    def photo(self, index: int) -> str:
        """Return the name of the photo that silhouette ``index`` was found in."""
        name: bytes = self._arrays["photos"][index]
        return name.decode("utf-8", "replace")

    def shape(self, index: int) -> NDArray[np.bool_]:
        """Return outline ``index``, bool (h, w), true on the object.

        Raises:
            UsageError: its run lengths are damaged.
        """
        ends = self._arrays["ends"]
        counts = self._arrays["counts"][ends[index - 1] if index else 0 : ends[index]]
        try:
            return decode_runs(counts, *(int(side) for side in self.sizes[index]))
        except ValueError as error:
            raise self._damaged(f"silhouette {index}: {error}") from error

    def verify(self) -> None:
        """Read everything and compare it with the checksum in the file.

        Raises:
            UsageError: they differ.
        """
        if _sha256(self._arrays) != self.fingerprint:
            raise self._damaged("its checksum does not match")
