"""Instances made of masks that tests draw."""

from collections.abc import Sequence

import numpy as np

from pconv_hpc.segmentation.instances import Instance, encode_mask


def instance(
    mask: np.ndarray,
    class_name: str = "person",
    score: float = 0.9,
    box: tuple[float, float, float, float] | None = None,
) -> Instance:
    """Return an instance of a bool mask (H, W); its box is the mask's unless one is given."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if box is None:
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if mask.any() else (0, 0, 0, 0)
    x0, y0, x1, y1 = map(float, box)
    counts = encode_mask(mask, 0, 0, height, width)
    return Instance(class_name, score, (x0, y0, x1, y1), height, width, counts)


def rectangle(y: Sequence[int], x: Sequence[int], height: int = 60, width: int = 80) -> np.ndarray:
    """Return a bool mask (height, width), true in rows y[0] to y[1] and columns x[0] to x[1]."""
    mask = np.zeros((height, width), dtype=bool)
    mask[y[0] : y[1], x[0] : x[1]] = True
    return mask
