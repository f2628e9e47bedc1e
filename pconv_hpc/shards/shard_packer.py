"""Making single shards of a pack, and checking those that an earlier call has made."""

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.photos.decode import ImageError, decode_square
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.shards.pack_plan import PackPlan
from pconv_hpc.shards.shard_file import (
    damaged_images,
    map_shard,
    read_rejected,
    shard_attributes,
    write_shard,
)
from pconv_hpc.shards.shard_index import INDEX_NAME, ShardEntry

_MAX_ENCODED_BYTES = 1 << 30  # of one photo; read into memory whole
_PATIENCE = 1000  # photos rejected beyond the limit before a rank gives up on the rest


@dataclass(frozen=True)
class FinishedShard:
    """What became of one shard's slice."""

    number: int
    entry: ShardEntry
    rejected: list[tuple[str, str]]


def num_allowed_rejections(plan: PackPlan, max_rejected: float) -> int:
    """Return how many photos of ``plan`` may be unreadable."""
    return int(max_rejected * len(plan.photos))


def _decode(source: PhotoSource, photo: int, size: int) -> np.ndarray:
    num_bytes = int(source.sizes[photo])
    if num_bytes > _MAX_ENCODED_BYTES:
        raise ImageError(f"a file of {num_bytes} bytes; at most {_MAX_ENCODED_BYTES} are read")
    return decode_square(source.read(photo), size)


def seconds_per_photo(source: PhotoSource, plan: PackPlan, *, sample: int = 48) -> float:
    """Decode the first photos of a plan and return the mean time one takes on one core."""
    photos = plan.photos[:sample].tolist()
    start = time.perf_counter()
    for photo in photos:
        with contextlib.suppress(ImageError):
            _decode(source, photo, plan.options.image_size)
    return (time.perf_counter() - start) / len(photos)


class ShardPacker:
    """One rank's part of a pack: checks finished shards, and makes others.

    Args:
        max_rejected: share of the pack's photos that may be unreadable.
        should_stop: asked between two photos; if so, ``Interrupted`` is raised.
        show: whether to draw progress bars.
    """

    def __init__(
        self,
        source: PhotoSource,
        plan: PackPlan,
        out_dir: Path,
        *,
        max_rejected: float,
        should_stop: Callable[[], bool],
        show: bool,
    ) -> None:
        self._source, self._plan, self._out_dir = source, plan, out_dir
        self._should_stop, self._show = should_stop, show
        self._num_rejected = 0
        self._give_up_at = num_allowed_rejections(plan, max_rejected) + _PATIENCE

    def check(
        self, numbers: list[int], known: dict[str, str]
    ) -> tuple[list[FinishedShard], list[int]]:
        """Read shards in full; return those that are whole, and the numbers of the others.

        Args:
            numbers: of shards whose files exist.
            known: SHA-256 by file name, where an index of this pack has it.
        """
        kept, damaged = [], []
        for number in self._bar(numbers, "checking finished shards", "shard"):
            self._stop_if_asked()
            try:
                kept.append(self._checked(number, known))
            except UsageError as error:
                tqdm.write(f"packing this shard again: {error}", file=sys.stderr)
                damaged.append(number)
        return kept, damaged

    def make(self, numbers: list[int]) -> list[FinishedShard]:
        """Pack the shards ``numbers``."""
        total = sum(len(self._plan.shard_photos(number)) for number in numbers)
        with self._bar(None, "packing", "photo", total) as bar:
            return [self._make(number, bar) for number in numbers]

    def _make(self, number: int, bar: Any) -> FinishedShard:
        photos, size = self._plan.shard_photos(number), self._plan.options.image_size
        images = np.empty((len(photos), size, size, 3), dtype=np.uint8)
        keys: list[str] = []
        rejected: list[tuple[str, str]] = []
        for photo in photos.tolist():
            self._stop_if_asked()
            key = self._source.keys[photo]
            try:
                images[len(keys)] = _decode(self._source, photo, size)
                keys.append(key)
            except ImageError as error:
                rejected.append((key, str(error)))
                self._count_rejected(key, str(error))
            bar.update()
        path = self._out_dir / self._plan.shard_name(number)
        with writing(path):
            entry = write_shard(
                path,
                images[: len(keys)],
                keys,
                attributes=self._plan.attributes(number),
                rejected=rejected,
            )
        return FinishedShard(number, entry, rejected)

    def _count_rejected(self, key: str, reason: str) -> None:
        self._num_rejected += 1
        if self._num_rejected > self._give_up_at:
            raise PconvError(
                f"{self._num_rejected} photos could not be read, far more than --max-rejected "
                f"allows, and there may be many more; the last was {key}: {reason}"
            )

    def _checked(self, number: int, known: dict[str, str]) -> FinishedShard:
        path = self._out_dir / self._plan.shard_name(number)
        try:
            sha256 = atomic.sha256_of(path)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        if known.get(path.name, sha256) != sha256:
            raise UsageError(f"{path}: its SHA-256 is not the one in {INDEX_NAME}")
        attributes = shard_attributes(path)
        for name, value in self._plan.attributes(number).items():
            if not np.array_equal(attributes.get(name, ()), value):
                raise UsageError(f"{path}: its attribute {name!r} is not {value!r}")
        mapped = map_shard(path, image_size=self._plan.options.image_size)
        rejected = read_rejected(path)
        packed = {key.decode("utf-8", "replace") for key in mapped.keys}
        expected = {self._source.keys[photo] for photo in self._plan.shard_photos(number).tolist()}
        if packed | {key for key, _ in rejected} != expected:
            raise UsageError(f"{path}: does not hold the photos it should")
        if damaged := damaged_images(path):
            raise UsageError(f"{path}: image {damaged[0]!r} is damaged")
        entry = ShardEntry(path.name, len(mapped.images), sha256, path.stat().st_size)
        return FinishedShard(number, entry, rejected)

    def _stop_if_asked(self) -> None:
        if self._should_stop():
            raise Interrupted(
                f"stopped as asked; finished shards are kept in {self._out_dir}: run the same "
                "command again to continue"
            )

    def _bar(self, items: Any, title: str, unit: str, total: int | None = None) -> Any:
        return tqdm(
            items,
            title,
            total,
            unit=unit,
            disable=not self._show or (items is not None and not items),
            mininterval=0.5 if sys.stderr.isatty() else 30,
        )
