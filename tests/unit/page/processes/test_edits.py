"""Masks that follow from what a person selected and drew."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_growing import MASK_SHAPES, mask_pixels
from pconv_hpc.page.processes.edits import edited_pixels, grow, parse_edit
from pconv_hpc.photos.formats.photo_files import Mask
from pconv_hpc.photos.mask_values import ERASED, KEPT
from tests.support.drawn_instances import instance, rectangle

HEIGHT, WIDTH = 60, 80


def hole_of(value: Mapping[str, Any], upload: Mask | None = None) -> np.ndarray:
    pixels = edited_pixels(parse_edit(value), (), upload, height=HEIGHT, width=WIDTH)
    return pixels == ERASED


def stroke(kind: str, *points: float, radius: float = 5, erases: bool = False) -> dict[str, Any]:
    return {"kind": kind, "points": list(points), "radius": radius, "erases": erases}


@pytest.mark.parametrize("shape", MASK_SHAPES)
@pytest.mark.parametrize("dilation", [None, 0, 4])
def test_selected_objects_alone_are_the_mask_of_the_command(
    shape: str, dilation: int | None
) -> None:
    objects = [instance(rectangle((5, 30), (5, 25))), instance(rectangle((20, 45), (40, 60)))]
    edit = parse_edit({"selected": [1], "shape": shape, "dilation": dilation})
    pixels = edited_pixels(edit, objects, None, height=HEIGHT, width=WIDTH)
    expected = mask_pixels(
        objects, (1,), height=HEIGHT, width=WIDTH, shape=edit.shape, dilation=dilation
    )
    assert np.array_equal(pixels, expected)
    assert {KEPT, ERASED} <= set(np.unique(pixels))


def test_a_brush_is_as_wide_as_it_is_said_to_be() -> None:
    hole = hole_of({"strokes": [stroke("brush", 20, 30, 60, 30, radius=6)]})
    assert 11 <= hole[:, 40].sum() <= 13
    assert hole[30, 15]
    assert not hole[30, 12]
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(x - np.clip(x, 20, 60), y - 30)
    assert not (hole ^ (distance <= 6))[np.abs(distance - 6) > 1].any()


def test_a_point_is_a_disk() -> None:
    hole = hole_of({"strokes": [stroke("brush", 20.5, 30.5, radius=4)]})
    assert 40 <= hole.sum() <= 69
    assert hole[30, 20]


def test_rectangles_keep_to_pixels() -> None:
    hole = hole_of({"strokes": [stroke("rectangle", 30, 40, 10, 20)]})
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[20:40, 10:30] = True
    assert np.array_equal(hole, expected)


def test_a_lasso_holds_what_it_goes_around() -> None:
    hole = hole_of({"strokes": [stroke("lasso", 10, 10, 50, 10, 50, 50, 10, 50)]})
    assert hole[12:48, 12:48].all()
    assert not hole[:8].any()


def test_strokes_follow_each_other() -> None:
    strokes = [
        stroke("rectangle", 10, 10, 50, 50),
        stroke("rectangle", 20, 20, 30, 30, erases=True),
        stroke("brush", 25, 25, radius=2),
    ]
    hole = hole_of({"strokes": strokes})
    assert hole[25, 25]
    assert not hole[21, 21]
    assert hole[15, 15]


def test_strokes_beside_the_photo_change_nothing() -> None:
    assert not hole_of({"strokes": [stroke("brush", -100, -100), stroke("lasso", 999, 999)]}).any()
    assert hole_of({"strokes": [stroke("rectangle", -9, -9, 999, 999)]}).all()


def test_an_eraser_leaves_other_objects_marked() -> None:
    objects = [instance(rectangle((20, 45), (40, 60)))]
    edit = parse_edit({"strokes": [stroke("rectangle", 0, 0, 80, 60, erases=True)]})
    pixels = edited_pixels(edit, objects, None, height=HEIGHT, width=WIDTH)
    assert set(np.unique(pixels)) == {0, KEPT}


def test_the_whole_grows_and_shrinks() -> None:
    strokes = [stroke("rectangle", 20, 20, 40, 40)]
    grown = hole_of({"strokes": strokes, "growth": 3})
    shrunk = hole_of({"strokes": strokes, "growth": -3})
    assert grown[17, 30]
    assert not grown[16, 30]
    assert not grown[17, 17]  # round corners
    assert shrunk.sum() == 14 * 14
    assert not hole_of({"strokes": strokes, "growth": -10}).any()
    assert not grow(np.zeros((4, 4), dtype=bool), 3).any()


def test_an_uploaded_mask_lies_under_the_strokes() -> None:
    hole = np.zeros((HEIGHT, WIDTH), dtype=bool)
    hole[:10] = True
    edit = {"strokes": [stroke("rectangle", 0, 0, 80, 5, erases=True)], "upload": "a"}
    assert hole_of(edit, Mask(hole, None))[5:10].all()
    assert not hole_of(edit, Mask(hole, None))[:5].any()
    with pytest.raises(UsageError, match="the mask is 4 x 3 and the photo 80 x 60"):
        hole_of(edit, Mask(np.ones((3, 4), dtype=bool), None))


def test_an_object_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="object 3 is not there: 0 were found"):
        hole_of({"selected": [2]})
