"""Selection on drawn masks: what a click means, and how narrowing down combines."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.selection import Selection, SelectionError, check_classes, select
from tests.support.drawn_instances import instance, rectangle

SIZE = {"height": 60, "width": 80}

# A person around a bag, a car apart from both, and something uncertain.
PERSON = instance(rectangle((5, 55), (5, 35)), "person", 0.98)
BAG = instance(rectangle((30, 40), (10, 20)), "handbag", 0.9)
CAR = instance(rectangle((40, 50), (50, 75)), "car", 0.8)
DOUBTFUL = instance(rectangle((0, 8), (60, 80)), "bird", 0.35)
SCENE = (PERSON, BAG, CAR, DOUBTFUL)


def chosen(**wish: Any) -> tuple[int, ...]:
    return select(SCENE, Selection(**wish), **SIZE)


def test_nothing_asked_for_selects_nothing() -> None:
    assert Selection(min_score=0.1).is_empty
    assert chosen() == ()


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"every": True}, (0, 1, 2)),
        ({"every": True, "min_score": 0.3}, (0, 1, 2, 3)),
        ({"every": True, "min_score": 0.95}, (0,)),
        ({"classes": ("car", "handbag")}, (1, 2)),
        ({"classes": ("bird",)}, ()),
        ({"largest": 1}, (0,)),
        ({"largest": 2}, (0, 2)),
        ({"largest": 9}, (0, 1, 2)),
        ({"largest": 1, "classes": ("car", "handbag")}, (2,)),
        ({"box": (0, 0, 40, 60)}, (0, 1)),
        ({"box": (-50, -50, 40, 60), "classes": ("person",)}, (0,)),
        ({"box": (5, 5, 35, 31)}, (0,)),  # 26 of the person's 50 rows, 1 of the bag's 10
        ({"box": (76, 0, 80, 60)}, ()),
        ({"numbers": (3, 1)}, (0, 2)),
        ({"numbers": (4,)}, (3,)),  # a number means that instance, however uncertain
        ({"numbers": (2,), "clicks": ((60, 45),)}, (1, 2)),
    ],
)
def test_narrowing_down(wish: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert chosen(**wish) == expected


@pytest.mark.parametrize(
    ("click", "expected"),
    [
        ((7, 7), (0,)),  # in the person's mask alone
        ((15, 35), (1,)),  # in both masks: the smaller one is what was pointed at
        ((60, 45), (2,)),
        ((76, 45), (2,)),  # one pixel off the car: within the tolerance
        ((79, 59), None),  # far from everything
    ],
)
def test_click(click: tuple[int, int], expected: tuple[int, ...] | None) -> None:
    if expected is None:
        with pytest.raises(SelectionError, match=r"within 1.6 pixels of 79,59; 3 objects found"):
            chosen(clicks=(click,))
    else:
        assert chosen(clicks=(click,)) == expected


def test_click_in_a_mask_goes_before_a_smaller_box_around_it() -> None:
    ring = rectangle((10, 50), (10, 50))
    ring[20:40, 20:40] = False
    inside_box_only = instance(
        rectangle((44, 46), (30, 32)), "dog", 0.9, box=(20.0, 8.0, 40.0, 48.0)
    )
    scene = (instance(ring, "tyre"), inside_box_only)
    assert select(scene, Selection(clicks=((30, 12),)), **SIZE) == (0,)
    # in the hole of the ring no mask is hit: the smaller box around the point counts
    assert select(scene, Selection(clicks=((30, 30),)), **SIZE) == (1,)


def test_click_near_two_masks_means_the_nearer_one() -> None:
    scene = (
        instance(rectangle((10, 20), (10, 20))),
        instance(rectangle((10, 20), (30, 40))),
    )
    assert select(scene, Selection(clicks=((26, 15),), tolerance=20), **SIZE) == (1,)
    assert select(scene, Selection(clicks=((23, 15),), tolerance=20), **SIZE) == (0,)


def test_tolerance_is_measured_to_the_mask_not_to_its_box() -> None:
    corner = np.zeros((60, 80), dtype=bool)
    corner[10:40, 10] = corner[39, 10:40] = True  # an L: far from the upper right of its box
    bent = replace(instance(corner), box=(10.0, 10.0, 12.0, 40.0))
    assert select((bent,), Selection(clicks=((20, 37),), tolerance=4), **SIZE) == (0,)
    with pytest.raises(SelectionError, match="nothing was found"):
        select((bent,), Selection(clicks=((38, 12),), tolerance=4), **SIZE)


def test_several_clicks_are_united_and_classes_hold_for_them() -> None:
    assert chosen(clicks=((7, 7), (60, 45), (8, 8))) == (0, 2)
    assert chosen(clicks=((15, 35),), classes=("person",)) == (0,)


@pytest.mark.parametrize("click", [(80, 10), (-1, 10), (10, 60), (10, -0.5)])
def test_click_outside_the_photo_is_an_error(click: tuple[float, float]) -> None:
    with pytest.raises(SelectionError, match="outside the photo of 80 x 60"):
        chosen(clicks=(click,))


def test_number_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(SelectionError, match="no instance 5; 4 objects found"):
        chosen(numbers=(5,))


def test_errors_in_an_empty_photo_say_so() -> None:
    with pytest.raises(SelectionError, match="no objects were found"):
        select((), Selection(clicks=((1, 1),)), **SIZE)
    assert select((), Selection(every=True), **SIZE) == ()
    assert select((), Selection(largest=1), **SIZE) == ()


def test_instance_without_pixels_is_never_clicked_nor_in_a_box() -> None:
    empty = instance(np.zeros((60, 80), dtype=bool))
    assert select((empty,), Selection(box=(0, 0, 80, 60)), **SIZE) == ()
    with pytest.raises(SelectionError, match="nothing was found"):
        select((empty,), Selection(clicks=((1, 1),), tolerance=100), **SIZE)


def test_class_names_are_spelled_as_the_network_does() -> None:
    wish = check_classes(Selection(classes=("Person", "CAR")), ["person", "car", "bird"])
    assert wish.classes == ("person", "car")


def test_unknown_class_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown class cow; this network knows: person, car"):
        check_classes(Selection(classes=("person", "cow")), ["person", "car"])
