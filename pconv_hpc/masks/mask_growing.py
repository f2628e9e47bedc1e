"""From what a network marks of an object to what must go with it: edges, shadows, holes, specks."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

import numpy as np
from scipy import ndimage

from pconv_hpc.photos.mask_values import ERASED, KEPT

MaskShape = Literal["exact", "dilate", "box", "hull"]
MASK_SHAPES: tuple[MaskShape, ...] = ("exact", "dilate", "box", "hull")

# Mask R-CNN predicts 28 x 28 cells for a box: its edge is off by about a cell, and around the edge
# lies what a ghost is made of, the soft rim and the contact shadow.
_DILATION_PER_SIZE = 0.05
_MIN_DILATION = 3
_MIN_SPECK_SHARE = 0.02


class MaskedObject(Protocol):
    """An object in a photo, whoever found it."""

    @property
    def mask(self) -> np.ndarray:
        """Its pixels: bool (height, width) of the photo."""

    @property
    def area(self) -> int:
        """The number of its pixels."""

    @property
    def mask_box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) around the mask, the ends exclusive; all 0 for an empty mask."""


def default_dilation(area: int) -> int:
    """Return by how many pixels the mask of an object of ``area`` pixels is grown."""
    return max(_MIN_DILATION, round(_DILATION_PER_SIZE * math.sqrt(area)))


def erase_mask(
    instances: Iterable[MaskedObject],
    *,
    height: int,
    width: int,
    shape: MaskShape = "dilate",
    dilation: int | None = None,
) -> np.ndarray:
    """Return where to erase the given instances of a photo.

    Of every object, holes are filled and specks are dropped. ``exact`` leaves it at that; ``hull``
    takes the convex hull, ``box`` the upright rectangle; all but ``exact`` are then grown.

    Args:
        instances: what to erase.
        height: of the photo.
        width: of the photo.
        shape: see above.
        dilation: by how many pixels each is grown; default: by ``default_dilation``.

    Returns:
        bool (height, width), true where to erase.
    """
    erased = np.zeros((height, width), dtype=bool)
    for instance in instances:
        x0, y0, x1, y1 = instance.mask_box
        if x0 == x1:
            continue
        radius = default_dilation(instance.area) if dilation is None else dilation
        margin = 0 if shape == "exact" else radius
        left, top = max(0, x0 - margin), max(0, y0 - margin)
        window = np.s_[top : min(height, y1 + margin), left : min(width, x1 + margin)]
        erased[window] |= shape_mask(instance.mask[window], shape, margin)
    return erased


def mask_pixels(
    instances: Sequence[MaskedObject],
    selected: Collection[int],
    *,
    height: int,
    width: int,
    shape: MaskShape = "dilate",
    dilation: int | None = None,
) -> np.ndarray:
    """Return a mask as it is written: white where to erase, gray on all other objects.

    Args:
        instances: all that was found in the photo.
        selected: indices of those to erase.
        height: of the photo.
        width: of the photo.
        shape: see ``erase_mask``.
        dilation: see ``erase_mask``.

    Returns:
        uint8 (height, width): ``ERASED``, ``KEPT`` or 0.
    """
    pixels = np.zeros((height, width), dtype=np.uint8)
    for index, instance in enumerate(instances):
        if index not in selected:
            x0, y0, x1, y1 = instance.mask_box
            pixels[y0:y1, x0:x1][instance.mask[y0:y1, x0:x1]] = KEPT
    chosen = [instances[index] for index in selected]
    erased = erase_mask(chosen, height=height, width=width, shape=shape, dilation=dilation)
    pixels[erased] = ERASED
    return pixels


def shape_mask(mask: np.ndarray, shape: MaskShape, dilation: int) -> np.ndarray:
    """Return where to erase one object of mask bool (H, W), its holes filled and specks dropped.

    Args:
        mask: true where the object is.
        shape: see ``erase_mask``.
        dilation: by how many pixels it is grown; ``exact`` is not.

    Returns:
        bool (H, W), true where to erase.
    """
    return _dilated(_outline(without_specks(mask), shape), 0 if shape == "exact" else dilation)


def without_specks(mask: np.ndarray) -> np.ndarray:
    """Return a mask with its holes filled and without parts that are far smaller than its main one.

    Args:
        mask: bool (H, W); a part is kept if it has at least 2% of the pixels of the largest.
    """
    filled = ndimage.binary_fill_holes(mask)
    parts, num_parts = ndimage.label(filled, structure=np.ones((3, 3)))
    if num_parts < 2:
        return filled
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    return (areas >= _MIN_SPECK_SHARE * areas.max())[parts]


def _outline(mask: np.ndarray, shape: MaskShape) -> np.ndarray:
    if shape == "hull":
        from skimage.morphology import convex_hull_image  # slow to import, and seldom needed

        return convex_hull_image(mask)
    if shape == "box":
        return _rectangle(mask)
    return mask


def _rectangle(mask: np.ndarray) -> np.ndarray:
    """Return the rectangle around all that is marked, gaps between parts included."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.zeros_like(mask)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box


def _dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    if radius == 0:
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius)
