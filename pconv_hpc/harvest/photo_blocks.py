"""Blocks of photos through the network that finds objects.

What makes up a batch depends on the block alone, and so do the last bits of what is found.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.harvest.outlines import Criteria, outlines
from pconv_hpc.harvest.parts import Block
from pconv_hpc.masks.silhouette_file import Silhouette
from pconv_hpc.photos.batch_driver import BatchWork, Done, run_batches
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.sources.photo_source import Photos

if TYPE_CHECKING:
    from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter

BLOCK_PHOTOS = 16
_MAX_BLOCKS_BEGUN = 2  # a rank that is killed does these again


@dataclass(frozen=True)
class _Opened:
    """A photo of a block; ``prepared`` is the reason where it cannot be used."""

    position: int
    prepared: "Prepared | str"


@dataclass(frozen=True)
class _Found:
    """The silhouettes of a photo, or the reason why there cannot be any."""

    position: int
    silhouettes: list[Silhouette]
    reason: str | None = None


class BlockFinder(BatchWork[int, _Opened, "Prediction | PconvError | None", _Found]):
    """Finds the objects of photos, a block of ``BLOCK_PHOTOS`` at a time.

    Args:
        photos: all of them.
        segmenter: the network.
        criteria: which objects are taken.
        chosen: the numbers of the photos to look at.
        max_pixels: larger photos are refused before they are decoded.
    """

    def __init__(
        self,
        photos: Photos,
        segmenter: "Segmenter",
        criteria: Criteria,
        chosen: NDArray[np.int64],
        *,
        max_pixels: int,
    ) -> None:
        self._photos, self._segmenter, self._criteria = photos, segmenter, criteria
        self._chosen, self._max_pixels = chosen, max_pixels

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""
        return num_blocks(len(self._chosen))

    def positions(self, number: int) -> range:
        """Return where the photos of block ``number`` are in ``chosen``."""
        start = number * BLOCK_PHOTOS
        return range(start, min(start + BLOCK_PHOTOS, len(self._chosen)))

    def blocks(
        self, numbers: Sequence[int], *, num_threads: int, should_stop: Callable[[], bool]
    ) -> Iterator[Block]:
        """Yield the blocks ``numbers`` as they are done; fewer if ``should_stop()`` comes true.

        Raises:
            PconvError: a photo cannot be read now, or the network fails.
        """
        done: dict[int, list[_Found]] = defaultdict(list)
        for found in run_batches(
            (position for number in numbers for position in self.positions(number)),
            self,
            num_threads=num_threads,
            max_begun=_MAX_BLOCKS_BEGUN * BLOCK_PHOTOS,
            should_stop=should_stop,
        ):
            number = found.position // BLOCK_PHOTOS
            done[number].append(found)
            if len(done[number]) == len(self.positions(number)):
                photos = sorted(done.pop(number), key=lambda one: one.position)
                yield Block(
                    number,
                    [silhouette for one in photos for silhouette in one.silhouettes],
                    [(self._key(one.position), one.reason) for one in photos if one.reason],
                )

    def _key(self, position: int) -> str:
        return self._photos.keys[int(self._chosen[position])]

    def open(self, task: int) -> _Opened:
        index = int(self._chosen[task])
        try:
            image = self._photos.image(index, max_pixels=self._max_pixels)
        except ImageError as error:
            return _Opened(task, str(error))
        try:
            return _Opened(task, self._segmenter.prepare(image))
        except Exception as error:  # scaling a photo of a pixel's width fails, for one
            height, width = image.shape[:2]
            reason = f"cannot be scaled from {width} x {height} pixels ({type(error).__name__})"
            return _Opened(task, reason)

    def take(self, waiting: list[_Opened], *, must: bool) -> list[_Opened]:
        """Take the first block of which every photo is there."""
        by_block: dict[int, list[_Opened]] = defaultdict(list)
        for opened in waiting:
            by_block[opened.position // BLOCK_PHOTOS].append(opened)
        whole = [
            number for number in by_block if len(by_block[number]) == len(self.positions(number))
        ]
        return by_block[min(whole)] if whole else []

    def predict(self, batch: list[_Opened]) -> list["Prediction | PconvError | None"]:
        prepared = {
            opened.position: opened.prepared
            for opened in sorted(batch, key=lambda opened: opened.position)
            if not isinstance(opened.prepared, str)
        }
        outputs = self._segmenter.predict_all(list(prepared.values()))
        predictions = dict(zip(prepared, outputs, strict=True))
        return [predictions.get(opened.position) for opened in batch]

    def finish(self, item: _Opened, output: "Prediction | PconvError | None") -> Done[_Found]:
        if output is None:
            return Done(_Found(item.position, [], str(item.prepared)))
        key = self._key(item.position)
        if isinstance(output, PconvError):
            raise PconvError(f"{key}: {output}")
        found = self._segmenter.instances(output)
        return Done(_Found(item.position, list(outlines(key, found, self._criteria))))

    def failed(self, task: int, error: Exception) -> _Found:
        raise error  # the photo may be read, and the network work, another time


def num_blocks(num_photos: int) -> int:
    """Return how many blocks so many photos make."""
    return math.ceil(num_photos / BLOCK_PHOTOS)
