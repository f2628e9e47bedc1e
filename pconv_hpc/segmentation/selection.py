"""Which of the objects found in a photo are meant: by clicks, numbers, classes, boxes and sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.setting import setting
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.selection_text import (
    parse_box,
    parse_number,
    parse_point,
    split_names,
)

SELECTING = "what to select (several of these narrow it down)"
# Relative to the photo's longer side: a finger's or a mouse's miss, not another object.
_DEFAULT_TOLERANCE = 0.02
_SHARE_IN_BOX = 0.5


class SelectionError(UsageError):
    """What a person asked for is not in this photo; other photos of a batch go on."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a person wants of a photo.

    ``min_score``, ``classes`` and ``box`` narrow the objects down; ``clicks`` pick of those, and
    otherwise all of them are taken, or the ``largest`` ones. ``numbers`` pick of all objects.

    Attributes:
        clicks: points (x, y) in pixels of the upright photo.
        numbers: instances by the numbers 1, 2, 3 of their JSON file and overlay.
        classes: names of the network's classes; empty: any class.
        box: (x0, y0, x1, y1); objects with at least half of their mask inside.
        largest: that many, by the area of their masks.
        every: take all that match, where nothing else above was given.
        min_score: objects below are not considered.
        tolerance: a click this many pixels off a mask still means it; default: 2% of the longer
            side of the photo.
    """

    clicks: tuple[tuple[float, float], ...] = setting(
        (),
        "the object at this pixel; may be given many times",
        SELECTING,
        option="click",
        metavar="X,Y",
        parse=parse_point,
        repeated=True,
    )
    numbers: tuple[int, ...] = setting(
        (),
        "the object with this number in the overlay; may be given many times",
        SELECTING,
        option="number",
        metavar="N",
        low=1,
        parse=parse_number,
        repeated=True,
    )
    classes: tuple[str, ...] = setting(
        (),
        "objects of these classes, such as person,car",
        SELECTING,
        metavar="A,B",
        parse=split_names,
    )
    box: tuple[float, float, float, float] | None = setting(
        None, "objects at least half inside", SELECTING, metavar="X0,Y0,X1,Y1", parse=parse_box
    )
    largest: int | None = setting(
        None, "the N largest of them (1 if no number is given)", SELECTING, low=1, bare=1
    )
    every: bool = setting(False, "all objects", SELECTING, option="all")
    min_score: float = setting(
        0.5, "only objects this certain, 0 to 1", SELECTING, metavar="SCORE", low=0, high=1
    )
    tolerance: float | None = setting(
        None,
        "how far a click may miss an object (default: 2% of the longer side)",
        SELECTING,
        metavar="PX",
        low=0,
    )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for, so that no mask is to be made."""
        return not (
            self.clicks
            or self.numbers
            or self.classes
            or self.box
            or self.largest is not None
            or self.every
        )


def check_classes(selection: Selection, classes: Sequence[str]) -> Selection:
    """Return the selection with class names spelled as the network does.

    Raises:
        UsageError: it does not know one of them; the message lists those it knows.
    """
    return replace(selection, classes=spelled(selection.classes, classes))


def spelled(names: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes spelled as the network does: case, and ``_`` for a blank.

    Raises:
        UsageError: it does not know one of them; the message lists those it knows.
    """
    known = {_folded(name): name for name in classes}
    unknown = [name for name in names if _folded(name) not in known]
    if unknown:
        raise UsageError(
            f"unknown class {', '.join(unknown)}; this network knows: {', '.join(classes)}"
        )
    return tuple(known[_folded(name)] for name in names)


def _folded(name: str) -> str:
    return name.casefold().replace("_", " ")


def select(
    instances: Sequence[Instance], selection: Selection, *, height: int, width: int
) -> tuple[int, ...]:
    """Return the sorted indices of the instances that are meant.

    A click means the instance whose mask contains it (the smallest of several); else the one with
    the smallest box around it; else the one whose mask is nearest, within the tolerance.

    Args:
        instances: of one upright photo of ``height`` × ``width``.
        selection: with class names as the network spells them.
        height: of the photo.
        width: of the photo.

    Raises:
        SelectionError: a click is outside the photo or means nothing, a number does not exist.
    """
    if selection.is_empty:
        return ()
    numbered = [_by_number(instances, number) for number in selection.numbers]
    matching = [i for i, instance in enumerate(instances) if _matches(instance, selection)]
    if selection.clicks or selection.numbers:
        clicked = [
            _by_click(instances, matching, click, selection, height, width)
            for click in selection.clicks
        ]
        return tuple(sorted({*numbered, *clicked}))
    if selection.largest is not None:
        matching.sort(key=lambda i: instances[i].area, reverse=True)
        matching = matching[: selection.largest]
    return tuple(sorted(matching))


def _matches(instance: Instance, selection: Selection) -> bool:
    if instance.score < selection.min_score:
        return False
    if selection.classes and instance.class_name not in selection.classes:
        return False
    return selection.box is None or _share_inside(instance, selection.box) >= _SHARE_IN_BOX


def _share_inside(instance: Instance, box: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = (max(0, round(end)) for end in box)
    area = instance.area
    return float(instance.mask[y0:y1, x0:x1].sum() / area) if area else 0.0


def _by_number(instances: Sequence[Instance], number: int) -> int:
    if not 1 <= number <= len(instances):
        raise SelectionError(f"no instance {number}; {_found(instances)}")
    return number - 1


def _by_click(
    instances: Sequence[Instance],
    candidates: Sequence[int],
    click: tuple[float, float],
    selection: Selection,
    height: int,
    width: int,
) -> int:
    x, y = click
    if not (0 <= x < width and 0 <= y < height):
        raise SelectionError(f"the click {x:g},{y:g} is outside the photo of {width} x {height}")
    hit = [
        i
        for i in candidates
        if _contains(instances[i].mask_box, x, y) and instances[i].mask[int(y), int(x)]
    ]
    if hit:
        return min(hit, key=lambda i: instances[i].area)
    boxed = [i for i in candidates if _contains(instances[i].box, x, y)]
    if boxed:
        return min(boxed, key=lambda i: _box_area(instances[i].box))
    tolerance = selection.tolerance
    if tolerance is None:
        tolerance = _DEFAULT_TOLERANCE * max(height, width)
    distances = {i: _distance(instances[i], x, y, tolerance) for i in candidates}
    nearest = min(distances, key=lambda i: distances[i], default=None)
    if nearest is None or distances[nearest] > tolerance:
        found = _found([instances[i] for i in candidates])
        raise SelectionError(
            f"nothing was found within {tolerance:g} pixels of {x:g},{y:g}; {found}"
        )
    return nearest


def _contains(box: Sequence[float], x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _box_area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _distance(instance: Instance, x: float, y: float, tolerance: float) -> float:
    """Return the distance from a point to the nearest pixel's centre; infinity where it is far."""
    x0, y0, x1, y1 = instance.mask_box
    if math.hypot(max(x0 - x, 0, x - x1), max(y0 - y, 0, y - y1)) > tolerance or x0 == x1:
        return math.inf
    rows, columns = np.nonzero(instance.mask[y0:y1, x0:x1])
    return float(np.hypot(columns + x0 + 0.5 - x, rows + y0 + 0.5 - y).min())


def _found(instances: Sequence[Instance]) -> str:
    if not instances:
        return "no objects were found in this photo"
    names = sorted({instance.class_name for instance in instances})
    count = len(instances)
    return f"{count} object{'s' if count > 1 else ''} found in this photo: {', '.join(names)}"
