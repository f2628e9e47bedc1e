"""What a person does to a mask: objects selected, strokes over them, the whole grown or shrunk.

An edit is a description. The mask follows from it and from the objects that were found, so that
taking back and doing again is nothing but another description.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_growing import MASK_SHAPES, MaskedObject, MaskShape, mask_pixels
from pconv_hpc.photos.formats.photo_files import Mask
from pconv_hpc.photos.mask_values import ERASED, KEPT

StrokeKind = Literal["brush", "rectangle", "lasso"]
_KINDS = get_args(StrokeKind)
_MAX_GROWTH = 1000  # pixels
_MAX_RADIUS = 4000.0
_MAX_POINTS = 200_000
_MAX_COORDINATE = 1e6
_FRACTION_BITS = 4  # OpenCV draws at a sixteenth of a pixel


@dataclass(frozen=True)
class Stroke:
    """One movement of the pointer, in pixels of the upright photo.

    Attributes:
        kind: ``brush``: along the points; ``rectangle``: between the first and the last; ``lasso``:
            what they go around.
        erases: takes away from the mask, where others add to it.
        points: float (n, 2): x, y.
        radius: of the brush.
    """

    kind: StrokeKind
    erases: bool
    points: np.ndarray
    radius: float


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A mask's description.

    Attributes:
        selected: indices of the objects to erase.
        shape: of their masks.
        dilation: of their masks, pixels; ``None``: by the size of each object.
        strokes: over the objects and the uploaded mask, in order.
        growth: by how many pixels all of it is grown; shrunk if it is negative.
        upload: which uploaded mask is under it; empty: none.
    """

    selected: tuple[int, ...] = ()
    shape: MaskShape = "dilate"
    dilation: int | None = None
    strokes: tuple[Stroke, ...] = ()
    growth: int = 0
    upload: str = ""


def parse_edit(value: Mapping[str, Any]) -> Edit:
    """Return the edit that a browser describes, trusting nothing in it.

    Raises:
        UsageError: it is none.
    """
    try:
        dilation = value.get("dilation")
        shape = MASK_SHAPES[MASK_SHAPES.index(value.get("shape", "dilate"))]
        return Edit(
            selected=tuple(sorted({_whole(i, 0, 1 << 20) for i in value.get("selected", ())})),
            shape=shape,
            dilation=None if dilation is None else _whole(dilation, 0, _MAX_GROWTH),
            strokes=tuple(map(_parse_stroke, value.get("strokes", ()))),
            growth=_whole(value.get("growth", 0), -_MAX_GROWTH, _MAX_GROWTH),
            upload=str(value.get("upload") or ""),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UsageError(f"not the description of a mask ({error})") from error


def _parse_stroke(value: Mapping[str, Any]) -> Stroke:
    kind, radius = value["kind"], float(value.get("radius", 1))
    if kind not in _KINDS or not 0 < radius <= _MAX_RADIUS:
        raise ValueError(f"stroke {kind!r} of radius {radius}")
    flat = value["points"]
    if not 0 < len(flat) <= 2 * _MAX_POINTS or len(flat) % 2:
        raise ValueError(f"{len(flat)} coordinates of a stroke")
    points = np.array([float(number) for number in flat]).reshape(-1, 2)
    if not np.isfinite(points).all() or np.abs(points).max() > _MAX_COORDINATE:
        raise ValueError("coordinates out of range")
    return Stroke(kind, bool(value.get("erases", False)), points, radius)


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"expected a whole number from {low} to {high}, found {value!r}")
    return value


def edited_pixels(
    edit: Edit, objects: Sequence[MaskedObject], upload: Mask | None, *, height: int, width: int
) -> np.ndarray:
    """Return the mask that an edit describes, as it is written.

    With nothing but selected objects it is what ``pconv-hpc segment`` writes for that selection.

    Args:
        edit: see ``Edit``.
        objects: all that was found in the photo.
        upload: the uploaded mask that the edit names.
        height: of the photo.
        width: of the photo.

    Returns:
        uint8 (height, width): ``ERASED``, ``KEPT`` or 0.

    Raises:
        UsageError: it names an object that is not there, or the uploaded mask has another size.
    """
    if edit.selected and edit.selected[-1] >= len(objects):
        raise UsageError(f"object {edit.selected[-1] + 1} is not there: {len(objects)} were found")
    pixels = mask_pixels(
        objects,
        edit.selected,
        height=height,
        width=width,
        shape=edit.shape,
        dilation=edit.dilation,
    )
    if upload is not None:
        _lay_under(pixels, upload)
    for stroke in edit.strokes:
        _draw(pixels, stroke)
    if edit.growth:
        hole = pixels == ERASED
        grown = grow(hole, edit.growth)
        pixels[hole & ~grown] = 0
        pixels[grown] = ERASED
    return pixels


def _lay_under(pixels: np.ndarray, upload: Mask) -> None:
    if upload.hole.shape != pixels.shape:
        found, expected = upload.hole.shape, pixels.shape
        raise UsageError(
            f"the mask is {found[1]} x {found[0]} and the photo {expected[1]} x {expected[0]} "
            "pixels as displayed; expected equal sizes"
        )
    if upload.kept is not None:
        pixels[upload.kept & (pixels == 0)] = KEPT
    pixels[upload.hole] = ERASED


def _draw(pixels: np.ndarray, stroke: Stroke) -> None:
    """Draw a stroke on mask pixels (H, W), in place."""
    height, width = pixels.shape
    margin = math.ceil(stroke.radius) + 2 if stroke.kind == "brush" else 2
    left, top = (max(0, math.floor(low) - margin) for low in stroke.points.min(axis=0))
    right = min(width, math.ceil(stroke.points[:, 0].max()) + margin)
    bottom = min(height, math.ceil(stroke.points[:, 1].max()) + margin)
    if left >= right or top >= bottom:  # beside the photo
        return
    covered = np.zeros((bottom - top, right - left), dtype=np.uint8)
    # a pixel's centre has whole numbers in OpenCV, halves in a browser
    points = stroke.points - (left + 0.5, top + 0.5)
    if stroke.kind == "brush":
        _draw_line(covered, points, stroke.radius)
    elif stroke.kind == "lasso":
        cv2.fillPoly(covered, [_fixed(points)], 1, shift=_FRACTION_BITS)
    else:
        ends = points[[0, -1]] + 0.5
        x0, y0 = np.maximum(np.rint(ends.min(axis=0)).astype(int), 0)
        x1, y1 = np.maximum(np.rint(ends.max(axis=0)).astype(int), 0)
        covered[y0:y1, x0:x1] = 1
    part = pixels[top:bottom, left:right]
    if stroke.erases:
        part[(covered > 0) & (part == ERASED)] = 0
    else:
        part[covered > 0] = ERASED


def _draw_line(covered: np.ndarray, points: np.ndarray, radius: float) -> None:
    fixed = _fixed(points)
    scaled = max(1, round(radius * (1 << _FRACTION_BITS)))
    for x, y in fixed.tolist():
        cv2.circle(covered, (x, y), scaled, 1, cv2.FILLED, shift=_FRACTION_BITS)
    thickness = max(1, round(2 * radius))
    cv2.polylines(covered, [fixed], False, 1, thickness, shift=_FRACTION_BITS)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(points * (1 << _FRACTION_BITS)), dtype=np.int32)


def grow(hole: np.ndarray, pixels: int) -> np.ndarray:
    """Return a hole, bool (H, W), with its edge moved outwards, or inwards if ``pixels`` is less
    than 0."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    result = np.zeros_like(hole)
    if not len(rows):
        return result
    margin = abs(pixels) + 1
    window = np.s_[
        max(0, rows[0] - margin) : rows[-1] + 1 + margin,
        max(0, columns[0] - margin) : columns[-1] + 1 + margin,
    ]
    part = hole[window]
    away = part if pixels < 0 else ~part
    distance = cv2.distanceTransform(away.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    result[window] = distance > -pixels if pixels < 0 else distance <= pixels
    return result
