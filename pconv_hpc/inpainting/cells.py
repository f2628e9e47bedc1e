"""A hole of any size, cut into cells that are given texture one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pconv_hpc.photos.photo import Box

# A hole whose box with surroundings has no more pixels than this is one cell. Patches take about
# 90 bytes a pixel while they are searched, everything else about as much again.
_MAX_PIXELS = 4_000_000
_CELL = 640  # pixels a side of a cell of a larger hole
_CELL_MARGIN = 256  # pixels around it from which it may take its texture
# Around a hole that is one cell there are this many pixels, in multiples of its longer side.
_MARGIN = 1.5
_MIN_MARGIN, _MAX_MARGIN = 96, 768


@dataclass(frozen=True)
class Cell:
    """A part of a hole that is filled at once.

    Attributes:
        box: the part of the photo it is filled from.
        inner: the part of the photo whose hole pixels it fills, within ``box``.
    """

    box: Box
    inner: Box

    def of(self, hole: np.ndarray, place: Box) -> np.ndarray:
        """Return the pixels it fills: bool of the size of ``box``.

        Args:
            hole: bool (h, w), the hole that the plan was made for.
            place: where in the photo that lies.
        """
        own = np.zeros((self.box.height, self.box.width), dtype=bool)
        here, there = self.inner.relative_to(self.box), self.inner.relative_to(place)
        own[here.slices] = hole[there.slices]
        return own


def plan_cells(hole: np.ndarray, place: Box, blocked: np.ndarray) -> Iterator[Cell]:
    """Cut a hole into cells, in the order in which they are to be filled: from the outside in.

    Each next cell is the one of whose box the largest share is known by then, with the cells
    before it: what surrounds the first ones is the photo, and the inner ones continue them.

    Args:
        hole: bool (h, w), the pixels to fill.
        place: where in the photo they lie.
        blocked: bool (H, W) of the photo, the pixels that are not known, ``hole`` among them.
    """
    bounds = _bounds(hole, place, place)
    if bounds is None:
        return
    whole = _with_margin(bounds, blocked.shape, _fitting_margin(bounds))
    if whole.height * whole.width <= _MAX_PIXELS:
        yield Cell(whole, bounds)
        return
    cells = [
        Cell(_with_margin(inner, blocked.shape, _CELL_MARGIN), inner)
        for top in range(bounds.top, bounds.bottom, _CELL)
        for left in range(bounds.left, bounds.right, _CELL)
        if (inner := _bounds(hole, place, _square(top, left, bounds))) is not None
    ]
    unknown = {cell: np.count_nonzero(blocked[cell.box.slices]) for cell in cells}
    while cells:
        cell = min(cells, key=lambda c: unknown[c] / (c.box.height * c.box.width))
        cells.remove(cell)
        yield cell
        for other in cells:
            shared = cell.inner.intersection(other.box)
            unknown[other] -= np.count_nonzero(hole[shared.relative_to(place).slices])


def _square(top: int, left: int, bounds: Box) -> Box:
    return Box(top, left, min(top + _CELL, bounds.bottom), min(left + _CELL, bounds.right))


def _bounds(hole: np.ndarray, place: Box, box: Box) -> Box | None:
    """Return the smallest box of the hole pixels in the part ``box`` of the photo."""
    part = hole[box.relative_to(place).slices]
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
    """Return the margin of a hole with these bounds, less where that would be too many pixels."""
    margin = min(max(_MIN_MARGIN, int(_MARGIN * max(box.height, box.width))), _MAX_MARGIN)
    while margin > _CELL_MARGIN and (box.height + 2 * margin) * (box.width + 2 * margin) > (
        _MAX_PIXELS
    ):
        margin = max(_CELL_MARGIN, margin - 32)
    return margin


def _with_margin(box: Box, shape: tuple[int, ...], margin: int) -> Box:
    return Box(
        max(0, box.top - margin),
        max(0, box.left - margin),
        min(shape[0], box.bottom + margin),
        min(shape[1], box.right + margin),
    )
