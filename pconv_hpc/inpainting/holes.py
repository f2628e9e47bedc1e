"""Where the network has to look: holes found, given context, and taken together where they meet."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from pconv_hpc.photos.photo import Box

# Holes are found on a grid of this many pixels: those closer to each other are one hole, and a
# mask of ten thousand specks has hundreds of holes, not ten thousand.
_GRID = 16
_MAX_GROWTH = 1.25  # how much lower the resolution may get so that holes are filled together
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Crop:
    """A part of the photo that is filled by itself.

    Attributes:
        box: what the network sees: the holes and their surroundings.
        labels: the holes it fills, as numbered in ``CropPlan.labels``.
    """

    box: Box
    labels: frozenset[int]


@dataclass(frozen=True)
class CropPlan:
    """The crops of a photo and which hole pixels belong to which.

    Attributes:
        crops: every hole belongs to exactly one of them.
        labels: int32, one number for each square of the grid, 0 where there is no hole.
    """

    crops: tuple[Crop, ...]
    labels: np.ndarray

    def hole_of(self, crop: Crop, hole: np.ndarray) -> np.ndarray:
        """Return the pixels of ``crop.box`` that it is to fill: bool (h, w).

        Args:
            crop: one of ``crops``.
            hole: bool (H, W), the mask the plan was made from.
        """
        rows = np.arange(crop.box.top, crop.box.bottom) // _GRID
        columns = np.arange(crop.box.left, crop.box.right) // _GRID
        mine = np.isin(
            self.labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], list(crop.labels)
        )
        pixels = mine[np.ix_(rows - rows[0], columns - columns[0])]
        return np.asarray(pixels & hole[crop.box.slices])


def plan_crops(hole: np.ndarray, *, working_size: int, context: float) -> CropPlan:
    """Find the holes of a mask and the part of the photo that each needs to be filled.

    A crop is a square of ``context`` times its hole's longer side, at least ``working_size``, cut
    at the photo's edges. Holes whose crops overlap are taken together, unless the crop they share
    would have to be scaled down clearly more than each of theirs.

    Args:
        hole: bool (H, W), true = hole.
        working_size: side of the square that the network is given, pixels.
        context: side of a crop as a multiple of its hole's, at least 1.
    """
    labels, count = ndimage.label(_coarse(hole), structure=_EIGHT_NEIGHBOURS)
    found = [
        (_tight_box(hole, rows, columns), frozenset([index + 1]))
        for index, (rows, columns) in enumerate(ndimage.find_objects(labels, count))
    ]
    groups: list[_Group] = []
    for box, members in found:
        group = _Group(box, members, _with_context(box, hole.shape, working_size, context))
        while True:
            for index in _overlapping(group.crop, groups):
                merged_box = _union(group.box, groups[index].box)
                crop = _with_context(merged_box, hole.shape, working_size, context)
                sides = (working_size, *_sides(group.crop), *_sides(groups[index].crop))
                if max(_sides(crop)) <= _MAX_GROWTH * max(sides):
                    group = _Group(merged_box, group.labels | groups.pop(index).labels, crop)
                    break
            else:
                break
        groups.append(group)
    return CropPlan(tuple(Crop(group.crop, group.labels) for group in groups), labels)


class _Group(NamedTuple):
    """Holes taken together: their box, their numbers and their crop."""

    box: Box
    labels: frozenset[int]
    crop: Box


def _coarse(hole: np.ndarray) -> np.ndarray:
    """Return which squares of the grid hold a hole pixel."""
    rows = np.logical_or.reduceat(hole, np.arange(0, hole.shape[0], _GRID), axis=0)
    return np.asarray(np.logical_or.reduceat(rows, np.arange(0, hole.shape[1], _GRID), axis=1))


def _tight_box(hole: np.ndarray, rows: slice, columns: slice) -> Box:
    """Return the smallest box of the hole pixels in a part of the grid."""
    top, left = rows.start * _GRID, columns.start * _GRID
    part = hole[top : rows.stop * _GRID, left : columns.stop * _GRID]
    used_rows, used_columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return Box(
        top + int(used_rows[0]),
        left + int(used_columns[0]),
        top + int(used_rows[-1]) + 1,
        left + int(used_columns[-1]) + 1,
    )


def _with_context(box: Box, shape: tuple[int, ...], working_size: int, context: float) -> Box:
    height, width = shape
    side = max(working_size, math.ceil(context * max(_sides(box))))
    top, bottom = _interval(box.top, box.bottom, side, height)
    left, right = _interval(box.left, box.right, side, width)
    return Box(top, left, bottom, right)


def _interval(start: int, stop: int, length: int, limit: int) -> tuple[int, int]:
    """Return ``length`` pixels around a hole, moved and if need be cut to lie in the photo."""
    # one pixel more at each side, so that a hole as large as its crop still has an outside
    length = min(max(length, stop - start + 2), limit)
    first = min(max((start + stop - length) // 2, 0), limit - length)
    return first, first + length


def _overlapping(crop: Box, groups: list[_Group]) -> list[int]:
    """Return the indices of the groups whose crop has pixels in common with ``crop``."""
    return [
        index
        for index, (_, _, other) in enumerate(groups)
        if other.top < crop.bottom
        and crop.top < other.bottom
        and other.left < crop.right
        and crop.left < other.right
    ]


def _sides(box: Box) -> tuple[int, int]:
    return box.height, box.width


def _union(a: Box, b: Box) -> Box:
    return Box(
        min(a.top, b.top), min(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right)
    )


def depth_in(hole: np.ndarray) -> np.ndarray:
    """Return how far each pixel of a hole, bool (H, W), is from the nearest other, float32."""
    return cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
