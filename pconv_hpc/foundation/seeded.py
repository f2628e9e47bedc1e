"""Random numbers that are hashes of what they are for, never the state of a generator.

Every random choice about a sample is a hash of (seed, epoch, sample, purpose): it costs the same at
step 1,000,000 as at step 0, depends on neither the ranks nor what was drawn before, and does not
change with the version of NumPy.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
