"""Blocks of photos through the network: reading, predicting and outlining overlap."""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.harvest.outlines import Criteria, outlines
from pconv_hpc.harvest.parts import Block
from pconv_hpc.harvest.photos import HarvestPhotos
from pconv_hpc.masks.silhouette_file import Silhouette
from pconv_hpc.photos.decode import ImageError

if TYPE_CHECKING:
    from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter

BLOCK_PHOTOS = 16  # a rank that is killed has to do two blocks again at most
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _OpenBlock:
    number: int
    photos: list[tuple[str, "Future[Prepared | str]"]]  # each prepared, or why it is not


@dataclass(frozen=True)
class _PredictedBlock:
    number: int
    silhouettes: list[Future[list[Silhouette]]]
    failed: list[tuple[str, str]]


class BlockFinder:
    """Finds the objects of photos, a block of ``BLOCK_PHOTOS`` at a time.

    Args:
        photos: all of them.
        segmenter: the network.
        criteria: which objects are taken.
        chosen: the numbers of the photos to look at.
        num_threads: that decode photos and trace outlines.
        should_stop: asked between two blocks.
    """

    def __init__(
        self,
        photos: HarvestPhotos,
        segmenter: "Segmenter",
        criteria: Criteria,
        chosen: NDArray[np.int64],
        *,
        num_threads: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self._photos, self._segmenter, self._criteria = photos, segmenter, criteria
        self._chosen, self._should_stop = chosen, should_stop
        self._num_threads = num_threads
        self._pool: ThreadPoolExecutor

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return num_blocks(len(self._chosen))

    def photos_of(self, number: int) -> NDArray[np.int64]:
        """Return the numbers of the photos in block ``number``."""
        return self._chosen[number * BLOCK_PHOTOS : (number + 1) * BLOCK_PHOTOS]

    def blocks(self, numbers: Sequence[int]) -> Iterator[Block]:
        """Yield the blocks ``numbers`` in their order; fewer if ``should_stop()`` comes true.

        Raises:
            PconvError: a photo cannot be read now, or the network fails.
        """
        self._pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="photos")
        try:
            opened = _one_ahead(map(self._open, numbers))
            predicted = _one_ahead(self._predicted(opened))
            for block in predicted:
                found = [one for future in block.silhouettes for one in future.result()]
                yield Block(block.number, found, block.failed)
        finally:
            self._pool.shutdown(cancel_futures=True)

    def _open(self, number: int) -> _OpenBlock:
        photos = self.photos_of(number).tolist()
        return _OpenBlock(
            number,
            [(self._photos.key(n), self._pool.submit(self._prepare, n)) for n in photos],
        )

    def _prepare(self, number: int) -> "Prepared | str":
        try:
            image = self._photos.image(number)
        except ImageError as error:
            return str(error)
        try:
            return self._segmenter.prepare(image)
        except Exception as error:  # scaling a photo of a pixel's width fails, for one
            height, width = image.shape[:2]
            return f"cannot be scaled from {width} x {height} pixels ({type(error).__name__})"

    def _predicted(self, opened: Iterable[_OpenBlock]) -> Iterator[_PredictedBlock]:
        for block in opened:
            if self._should_stop():
                return
            yield self._predict(block)

    def _predict(self, block: _OpenBlock) -> _PredictedBlock:
        failed: list[tuple[str, str]] = []
        groups: dict[tuple[int, int], list[tuple[str, Prepared]]] = defaultdict(list)
        for key, future in block.photos:
            prepared = future.result()
            if isinstance(prepared, str):
                failed.append((key, prepared))
            else:
                groups[prepared.padded_shape].append((key, prepared))
        silhouettes = []
        for group in groups.values():
            for start in range(0, len(group), self._segmenter.batch_size):
                batch = group[start : start + self._segmenter.batch_size]
                predictions = self._segmenter.predict([prepared for _, prepared in batch])
                for (key, _), prediction in zip(batch, predictions, strict=True):
                    if isinstance(prediction, PconvError):
                        raise PconvError(f"{key}: {prediction}")
                    silhouettes.append(self._pool.submit(self._trace, key, prediction))
        return _PredictedBlock(block.number, silhouettes, failed)

    def _trace(self, key: str, prediction: "Prediction") -> list[Silhouette]:
        return list(outlines(key, self._segmenter.instances(prediction), self._criteria))


def num_blocks(num_photos: int) -> int:
    """Return how many blocks so many photos make."""
    return math.ceil(num_photos / BLOCK_PHOTOS)


def _one_ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items, each only when the next one was asked for: threads work on that meanwhile."""
    waiting: deque[_Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
