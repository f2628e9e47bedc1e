"""Which photo is which part of which batch: a pure function of the seed, never of the ranks.

The training stream is the concatenation of one permutation of all samples per epoch. Batch ``k`` is
the ``k``-th slice of that stream, and a rank takes its part of the slice, so a run sees the same
samples in the same steps with any number of ranks, and resuming needs nothing but the step.
"""

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.seeded import Stream, sample_hash


def rank_slice(global_batch_size: int, rank: int, num_ranks: int) -> slice:
    """Return the part of a global batch that a rank works on.

    The slices of all ranks are contiguous, in rank order, cover the batch, and differ in length by
    one at most. A slice is empty where there are more ranks than items.
    """
    if not 0 <= rank < num_ranks:
        raise ValueError(f"rank {rank} of {num_ranks} ranks")
    return slice(global_batch_size * rank // num_ranks, global_batch_size * (rank + 1) // num_ranks)


class SampleOrder:
    """The order in which training visits the samples of a packed data set.

    In each epoch the blocks of ``block_images`` samples that lie together on disk are permuted,
    then the samples are shuffled within windows of ``window_blocks`` blocks: reads stay nearly
    sequential, while samples of a window's blocks mix freely. The pack itself is a global
    permutation, so neighbours on disk have nothing in common to begin with.

    Args:
        num_samples: size of the data set.
        seed: of the run; each (seed, epoch) has its own order.
        block_images: samples a block.
        window_blocks: blocks a window.
    """

    def __init__(
        self, num_samples: int, *, seed: int, block_images: int = 32, window_blocks: int = 64
    ) -> None:
        if num_samples < 1:
            raise UsageError("the data set holds no images: pack some with pconv-hpc pack")
        if block_images < 1 or window_blocks < 1:
            raise ValueError("block_images and window_blocks must be at least 1")
        self.num_samples = num_samples
        self._seed = seed
        self._block_images = block_images
        self._window_images = block_images * window_blocks
        self._dtype = np.int32 if num_samples < 2**31 else np.int64
        self._cached: tuple[int, NDArray[np.integer]] | None = None

    def permutation(self, epoch: int) -> NDArray[np.integer]:
        """Return the samples in the order of ``epoch``: every one exactly once."""
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, self._permute(epoch))
        return self._cached[1]

    def _permute(self, epoch: int) -> NDArray[np.integer]:
        num_blocks = -(-self.num_samples // self._block_images)
        block_keys = sample_hash(self._seed, epoch, np.arange(num_blocks), Stream.BLOCK_ORDER)
        blocks = np.argsort(block_keys, kind="stable").astype(self._dtype)
        within_block = np.arange(self._block_images, dtype=self._dtype)
        order = np.add.outer(blocks * self._block_images, within_block).reshape(-1)
        order = order[order < self.num_samples]  # the last block on disk may be short

        keys = sample_hash(self._seed, epoch, order, Stream.WINDOW_ORDER)
        windows = np.arange(self.num_samples) // self._window_images
        return order[np.lexsort((keys, windows))]

    def batch(
        self, step: int, global_batch_size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the epochs and the samples of one global batch, both int64 (global_batch_size,).

        A batch that meets the end of an epoch goes on with the next one, more than once where the
        data set is smaller than the batch.
        """
        positions = step * global_batch_size + np.arange(global_batch_size, dtype=np.int64)
        epochs, places = np.divmod(positions, self.num_samples)
        samples = np.empty_like(positions)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            here = epochs == epoch
            samples[here] = self.permutation(epoch)[places[here]]
        return epochs, samples
