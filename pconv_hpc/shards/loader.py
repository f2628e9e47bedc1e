"""Batches of photos and masks, for training in a seeded order and for validation in a fixed one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.arrays.aligned_arrays import aligned_empty
from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.config import DataConfig, MasksConfig
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.seeded import Stream, hash_integers, sample_hash
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.masks.mask_variation import MaskVariation
from pconv_hpc.shards.prefetch import Prefetcher
from pconv_hpc.shards.sampler import SampleOrder, rank_slice

_LEFT_RIGHT = 1  # OpenCV's number for this way to flip


class ImageReader(Protocol):
    """What a loader needs of :class:`pconv_hpc.shards.shard_file.ShardReader`."""

    @property
    def num_images(self) -> int: ...

    @property
    def image_size(self) -> int: ...

    def image_views(self, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]: ...


@dataclass(frozen=True)
class Batch:
    """One rank's part of a batch; the arrays are its own, nobody else ever writes to them.

    A loader's arrays begin at addresses that tensors may begin at; see ``aligned_empty``.

    Attributes:
        step: number of the batch.
        images: uint8 (n, S, S, 3), RGB.
        masks: uint8 (n, S, S, 1), 1 = valid pixel, 0 = hole.
        samples: int64 (n,), positions in the packed data set.
    """

    step: int
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    samples: NDArray[np.int64]


class BatchLoader(Closing):
    """Endless training batches from ``first_step`` on, prepared ahead in a thread.

    Which photos a batch holds, how they are cut and mirrored and which mask each gets depends on
    the seed, the step and the data alone: the batches of all ranks, joined in rank order, are the
    same for any number of ranks, and a loader that starts at step k goes on as one that got there.

    Args:
        reader: packed photos of at least ``data_config.image_size`` pixels.
        bank: masks of at least that size.
        data_config, masks_config: how photos and masks are varied, how far to read ahead.
        seed: of the run.
        global_batch_size: images a step, over all ranks.
        rank, num_ranks: which part of it this loader gives.
        first_step: number of the first batch.

    Raises:
        UsageError: photos or masks are too small, or there are fewer images a step than ranks.
    """

    def __init__(
        self,
        reader: ImageReader,
        bank: MaskBank,
        data_config: DataConfig,
        masks_config: MasksConfig,
        *,
        seed: int,
        global_batch_size: int,
        rank: int = 0,
        num_ranks: int = 1,
        first_step: int = 0,
    ) -> None:
        if num_ranks > global_batch_size:
            raise UsageError(
                f"{num_ranks} ranks share a global batch of {global_batch_size} images, so some "
                "would have none; use fewer ranks or a larger train.global_batch_size"
            )
        _check_image_size(reader, data_config.image_size)
        self._reader = reader
        self._bank = bank
        self._size = data_config.image_size
        self._flips = data_config.horizontal_flip
        self._variation = MaskVariation(bank.size, self._size, masks_config.max_shift)
        self._seed = seed
        self._global_batch_size = global_batch_size
        self._slice = rank_slice(global_batch_size, rank, num_ranks)
        self._order = SampleOrder(
            reader.num_images,
            seed=seed,
            block_images=data_config.shuffle_block_images,
            window_blocks=data_config.shuffle_window_blocks,
        )
        self._prefetcher = Prefetcher(
            self._batches(first_step), capacity=data_config.prefetch_batches, name="batch-loader"
        )

    def _batches(self, step: int) -> Iterator[Batch]:
        while True:
            yield self._load(step)
            step += 1

    def _load(self, step: int) -> Batch:
        epochs, samples = (
            part[self._slice] for part in self._order.batch(step, self._global_batch_size)
        )
        return Batch(step, self._images(epochs, samples), self._masks(epochs, samples), samples)

    def _images(self, epochs: NDArray[np.int64], samples: NDArray[np.int64]) -> NDArray[np.uint8]:
        room = self._reader.image_size - self._size
        tops, lefts, flips = (
            hash_integers(sample_hash(self._seed, epochs, samples, stream), upper)
            for stream, upper in (
                (Stream.CROP_TOP, room + 1),
                (Stream.CROP_LEFT, room + 1),
                (Stream.IMAGE_FLIP, 2 if self._flips else 1),
            )
        )
        size = self._size
        result = aligned_empty((len(samples), size, size, 3))
        views = self._reader.image_views(samples)
        for view, top, left, flip, out in zip(
            views, tops.tolist(), lefts.tolist(), flips.tolist(), result, strict=True
        ):
            crop = view[top : top + size, left : left + size]
            if flip:
                cv2.flip(crop, _LEFT_RIGHT, dst=out)  # ten times faster than reversed in NumPy
            else:
                out[...] = crop
        return result

    def _masks(self, epochs: NDArray[np.int64], samples: NDArray[np.int64]) -> NDArray[np.uint8]:
        hashes = sample_hash(self._seed, epochs, samples, Stream.MASK)
        packed = self._bank.packed_masks(hash_integers(hashes, self._bank.num_masks))
        varied = self._variation.vary(packed, seed=self._seed, epochs=epochs, samples=samples)
        return varied[..., np.newaxis]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        return next(self._prefetcher)

    def close(self) -> None:
        """End the thread; no batches come afterwards."""
        self._prefetcher.close()


def validation_batches(
    reader: ImageReader,
    bank: MaskBank,
    *,
    image_size: int,
    num_images: int,
    seed: int,
    batch_size: int,
    rank: int = 0,
    num_ranks: int = 1,
) -> Iterator[Batch]:
    """Iterate over the first photos of a data set, cut at the centre, each with its own mask.

    The mask of photo i follows from the seed and i alone. Ranks take contiguous parts, which are
    empty where there are more ranks than photos.

    Args:
        reader: packed photos of at least ``image_size`` pixels.
        bank: masks of at least that size.
        image_size: S, side of what is yielded, pixels.
        num_images: how many photos over all ranks; all of them where there are fewer.
        seed: of the choice of masks.
        batch_size: photos a batch at most.
        rank, num_ranks: which part to yield.

    Raises:
        UsageError: photos or masks are too small.
    """
    _check_image_size(reader, image_size)
    variation = MaskVariation(bank.size, image_size, max_shift=0.0)
    part = rank_slice(min(num_images, reader.num_images), rank, num_ranks)
    start = (reader.image_size - image_size) // 2
    middle = slice(start, start + image_size)

    def load(step: int, first: int) -> Batch:
        samples = np.arange(first, min(first + batch_size, part.stop), dtype=np.int64)
        hashes = sample_hash(seed, 0, samples, Stream.VALIDATION_MASK)
        masks = variation.centre(bank.valid_masks(hash_integers(hashes, bank.num_masks)))
        images = np.stack([view[middle, middle] for view in reader.image_views(samples)])
        return Batch(step, images, masks[..., np.newaxis], samples)

    firsts = range(part.start, part.stop, batch_size)
    return (load(step, first) for step, first in enumerate(firsts))


def _check_image_size(reader: ImageReader, image_size: int) -> None:
    if reader.image_size < image_size:
        raise UsageError(
            f"the packed photos have {reader.image_size} x {reader.image_size} pixels, fewer than "
            f"data.image_size = {image_size}; lower it, or pack them again with "
            f"pconv-hpc pack --size {image_size}"
        )
