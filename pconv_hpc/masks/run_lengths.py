"""Outlines as COCO's run lengths: down the columns, in turn background and object."""

import numpy as np
from numpy.typing import NDArray


def encode_runs(shape: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Return the run lengths of a bool array (h, w), which holds at least one pixel.

    The first run is background, and 0 where the first pixel belongs to the object.
    """
    pixels = shape.ravel(order="F")
    borders = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    starts = np.concatenate([[0] * (1 + int(pixels[0])), borders])
    return np.diff(starts, append=pixels.size).astype(np.uint32)


def decode_runs(counts: NDArray[np.uint32], height: int, width: int) -> NDArray[np.bool_]:
    """Return the bool array (height, width) of run lengths that anyone may have written.

    Raises:
        ValueError: they are of another size, or hold no object.
    """
    num_pixels = int(counts.sum(dtype=np.uint64))
    if num_pixels != height * width:
        raise ValueError(f"run lengths of {num_pixels} pixels, expected {height} x {width}")
    if not counts[1::2].any():
        raise ValueError("run lengths without an object")
    is_object = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_object, counts).reshape((height, width), order="F")
