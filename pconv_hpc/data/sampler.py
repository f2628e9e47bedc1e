"""Which photo is which part of which batch: a pure function of the seed, never of the ranks.

The training stream is the concatenation of one permutation of all samples per epoch. Batch ``k`` is
the ``k``-th slice of that stream, and a rank takes its part of the slice, so a run sees the same
samples in the same steps with any number of ranks, and resuming needs nothing but the step.

Every random choice about a sample is a hash of (seed, epoch, sample, purpose) instead of the state
of a generator: it costs the same at step 1,000,000 as at step 0, and it does not change with the
version of NumPy.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pconv_hpc.errors import UsageError

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Stream(IntEnum):
    """What a random number is for; numbers of different streams are independent.

    The values are part of what a run depends on: never reuse or renumber one.
    """

    BLOCK_ORDER = 0
    WINDOW_ORDER = 1
    CROP_TOP = 2
    CROP_LEFT = 3
    IMAGE_FLIP = 4
    MASK = 5
    MASK_FLIP = 6
    MASK_ROTATION = 7
    MASK_TOP = 8
    MASK_LEFT = 9
    MASK_SHIFT_DOWN = 10
    MASK_SHIFT_RIGHT = 11
    VALIDATION_MASK = 12
    MASK_DRAWING = 13
    OBJECT_FILES = 14
    CONTACT_SHEET = 15
    HARVEST_PHOTOS = 16


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of each value (Steele et al. 2014): full avalanche."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _absorb(state: NDArray[np.uint64], values: ArrayLike) -> NDArray[np.uint64]:
    """Mix one more number into the state of each hash, as a step of SplitMix64 would."""
    steps = np.atleast_1d(np.asarray(values)).astype(np.uint64) + np.uint64(1)
    return _mix(state + steps * np.uint64(_GOLDEN_GAMMA))


def sample_hash(
    seed: int, epochs: ArrayLike, samples: ArrayLike, stream: int
) -> NDArray[np.uint64]:
    """Return 64 random bits for each (epoch, sample), the same wherever and whenever asked.

    Args:
        seed: of the run, 0 <= seed < 2^64.
        epochs, samples: integers, not negative, of shapes that broadcast.
        stream: what the bits are for; see :class:`Stream`.

    Returns:
        uint64 array of the broadcast shape, at least one-dimensional.
    """
    # Arrays of one element instead of scalars: NumPy warns of overflow in scalars only.
    state = _absorb(np.zeros(1, np.uint64), np.array([seed], np.uint64))
    for values in (stream, epochs, samples):
        state = _absorb(state, values)
    return state


def hash_integers(hashes: NDArray[np.uint64], upper: int) -> NDArray[np.int64]:
    """Map hashes to integers from 0 to ``upper - 1``, evenly (Lemire 2019, without rejection).

    ``upper`` is at most 2^32; the bias is below ``upper / 2^32``.
    """
    return ((hashes >> np.uint64(32)) * np.uint64(upper) >> np.uint64(32)).astype(np.int64)


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
            raise UsageError("the data set holds no images: pack some with tools/pack.py")
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
