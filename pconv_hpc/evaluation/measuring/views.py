"""Which part of a large photo is shown, pixel by pixel, to judge how a hole was filled."""

import numpy as np
from scipy import ndimage

View = tuple[slice, slice]


def view_of(hole: np.ndarray, side: int) -> View:
    """Return what to index a photo with: ``side`` pixels of each axis, or all of a shorter one.

    A hole that fits is in the middle. Of a larger one a part is shown that is half hole, half
    surroundings, or as nearly so as there is.

    Args:
        hole: bool (H, W), not empty.
        side: of the view, pixels.
    """
    sizes = [min(side, length) for length in hole.shape]
    places = [np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0)]
    if all(p[-1] - p[0] < size for p, size in zip(places, sizes, strict=True)):
        starts = [int(p[0] + p[-1] + 1 - size) // 2 for p, size in zip(places, sizes, strict=True)]
    else:
        starts = _most_even(hole, sizes)
    return _slices(starts, sizes, hole.shape)


def _most_even(hole: np.ndarray, sizes: list[int]) -> list[int]:
    """Return where a window begins that is as nearly half hole as any."""
    shares = ndimage.uniform_filter(hole.astype(np.float32), sizes, mode="constant")
    centres = tuple(
        slice(size // 2, length - (size - 1) // 2)
        for size, length in zip(sizes, hole.shape, strict=True)
    )
    uneven = np.abs(shares[centres] - 0.5)
    return [int(start) for start in np.unravel_index(np.argmin(uneven), uneven.shape)]


def _slices(starts: list[int], sizes: list[int], shape: tuple[int, ...]) -> View:
    kept = [
        min(max(start, 0), length - size)
        for start, size, length in zip(starts, sizes, shape, strict=True)
    ]
    rows, columns = (slice(start, start + size) for start, size in zip(kept, sizes, strict=True))
    return rows, columns
