"""A hole of any size, cut into cells that are given texture one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pconv_hpc.photos.photo import Box

# A hole whose box with surroundings has no more pixels than this is one cell. Patches take about
# 90 bytes a pixel while they are searched, everything else about as much again.
_MAX_PIXELS = 4_000_000
_CELL = 640  # pixels a side of a cell of a larger hole
_MIN_MARGIN, _MAX_MARGIN = 256, 768  # pixels around a cell from which it may take its texture


@dataclass(frozen=True)
class Cell:
    """A part of a hole that is filled at once.

    Attributes:
        box: the part of the photo it is filled from.
        inner: the part of the photo whose hole pixels it fills, within ``box``.
    """

    box: Box
    inner: Box

    def of(self, hole: np.ndarray) -> np.ndarray:
        """Return the pixels of ``box`` that it fills, of a mask bool (H, W) of the photo."""
        own = np.zeros((self.box.height, self.box.width), dtype=bool)
        top, left = self.inner.top - self.box.top, self.inner.left - self.box.left
        part = (slice(top, top + self.inner.height), slice(left, left + self.inner.width))
        own[part] = hole[self.inner.slices]
        return own


def plan_cells(hole: np.ndarray, blocked: np.ndarray) -> Iterator[Cell]:
    """Cut a hole into cells, in the order in which they are to be filled: from the outside in.

    Each next cell is the one of whose box the largest share is known by then, with the cells
    before it: what surrounds the first ones is the photo, and the inner ones continue them.

    Args:
        hole: bool (H, W) of the photo, the pixels to fill.
        blocked: bool (H, W), the pixels that are not known, ``hole`` among them.
    """
    bounds = _bounds(hole, Box(0, 0, *hole.shape))
    if bounds is None:
        return
    whole = _with_margin(bounds, hole.shape, _fitting_margin(bounds))
    if whole.height * whole.width <= _MAX_PIXELS:
        yield Cell(whole, bounds)
        return
    cells = [
        Cell(_with_margin(inner, hole.shape, _MIN_MARGIN), inner)
        for top in range(bounds.top, bounds.bottom, _CELL)
        for left in range(bounds.left, bounds.right, _CELL)
        if (inner := _bounds(hole, _square(top, left, bounds))) is not None
    ]
    unknown = {cell: np.count_nonzero(blocked[cell.box.slices]) for cell in cells}
    while cells:
        cell = min(cells, key=lambda c: unknown[c] / (c.box.height * c.box.width))
        cells.remove(cell)
        yield cell
        for other in cells:
            shared = _intersection(cell.inner, other.box)
            unknown[other] -= np.count_nonzero(hole[shared.slices])


def _square(top: int, left: int, bounds: Box) -> Box:
    return Box(top, left, min(top + _CELL, bounds.bottom), min(left + _CELL, bounds.right))


def _bounds(hole: np.ndarray, box: Box) -> Box | None:
    """Return the smallest box of the hole pixels in a part of a photo."""
    part = hole[box.slices]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not len(rows):
        return None
    return Box(
        box.top + int(rows[0]),
        box.left + int(columns[0]),
        box.top + int(rows[-1]) + 1,
        box.left + int(columns[-1]) + 1,
    )


def _fitting_margin(box: Box) -> int:
    """Return a margin as wide as the box, or less where that would be too many pixels."""
    margin = min(max(_MIN_MARGIN, box.height, box.width), _MAX_MARGIN)
    while margin > _MIN_MARGIN and (box.height + 2 * margin) * (box.width + 2 * margin) > (
        _MAX_PIXELS
    ):
        margin = max(_MIN_MARGIN, margin - 32)
    return margin


def _with_margin(box: Box, shape: tuple[int, ...], margin: int) -> Box:
    return Box(
        max(0, box.top - margin),
        max(0, box.left - margin),
        min(shape[0], box.bottom + margin),
        min(shape[1], box.right + margin),
    )


def _intersection(a: Box, b: Box) -> Box:
    """Return what two boxes have in common; it may be empty."""
    top, left = max(a.top, b.top), max(a.left, b.left)
    return Box(top, left, max(top, min(a.bottom, b.bottom)), max(left, min(a.right, b.right)))
