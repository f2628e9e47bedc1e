"""Masks for erasing: grown, filled, rid of specks, as boxes and as hulls."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from pconv_hpc.masks.mask_growing import (
    MASK_SHAPES,
    MaskShape,
    default_dilation,
    erase_mask,
    mask_pixels,
    shape_mask,
    without_specks,
)
from pconv_hpc.photos.mask_values import ERASED, KEPT
from tests.support.drawn_instances import instance, rectangle

SIZE = {"height": 60, "width": 80}


def test_dilation_grows_by_a_disc() -> None:
    mask = rectangle((20, 30), (30, 50))
    erased = erase_mask([instance(mask)], **SIZE, dilation=5)
    np.testing.assert_array_equal(erased, distance_transform_edt(~mask) <= 5)


def test_dilation_stops_at_the_picture() -> None:
    erased = erase_mask([instance(rectangle((0, 60), (0, 80)))], **SIZE, dilation=9)
    assert erased.shape == (60, 80)
    assert erased.all()
    corner = erase_mask([instance(rectangle((0, 2), (78, 80)))], **SIZE, dilation=3)
    assert corner[:5, 78:].all()
    assert corner[:2, 75:].all()
    assert not corner[4, 75]


def test_default_dilation_grows_with_the_object() -> None:
    assert default_dilation(10) == 3
    assert default_dilation(200 * 200) == 10
    assert default_dilation(1000 * 1000) == 50
    small, large = instance(rectangle((5, 10), (5, 10))), instance(rectangle((0, 60), (20, 80)))
    areas = [erase_mask([one], **SIZE).sum() for one in (small, large)]
    by_hand = [erase_mask([small], **SIZE, dilation=3), erase_mask([large], **SIZE, dilation=3)]
    assert areas == [mask.sum() for mask in by_hand]


def test_no_dilation_and_exact_leave_the_outline() -> None:
    mask = rectangle((20, 30), (30, 50))
    np.testing.assert_array_equal(erase_mask([instance(mask)], **SIZE, dilation=0), mask)
    exact = erase_mask([instance(mask)], **SIZE, shape="exact", dilation=7)
    np.testing.assert_array_equal(exact, mask)


@pytest.mark.parametrize("shape", MASK_SHAPES)
def test_every_shape_covers_the_object(shape: MaskShape) -> None:
    diagonal = np.zeros((60, 80), dtype=bool)
    for step in range(30):
        diagonal[10 + step, 20 + step : 24 + step] = True
    erased = erase_mask([instance(diagonal)], **SIZE, shape=shape, dilation=2)
    assert erased[diagonal].all()


def test_box_and_hull() -> None:
    triangle = np.tril(np.ones((60, 80), dtype=bool), k=-20) & rectangle((20, 50), (0, 30))
    triangle[45, 10] = False
    box = erase_mask([instance(triangle)], **SIZE, shape="box", dilation=0)
    np.testing.assert_array_equal(box, rectangle((20, 50), (0, 30)))
    bent = rectangle((10, 40), (10, 14)) | rectangle((36, 40), (10, 40))
    hull = erase_mask([instance(bent)], **SIZE, shape="hull", dilation=0)
    assert hull[bent].all()
    assert hull[30, 15]  # between the arms
    assert not hull[12, 38]  # beyond the line between their ends
    grown = erase_mask([instance(bent)], **SIZE, shape="box", dilation=3)
    assert grown[37:40, 37:43].all()
    assert grown[7, 20]


def test_holes_are_filled_and_specks_dropped() -> None:
    ring = rectangle((10, 40), (10, 40)) & ~rectangle((20, 30), (20, 30))
    speck = rectangle((50, 52), (70, 72))
    second_part = rectangle((10, 20), (50, 60))
    cleaned = without_specks(ring | speck | second_part)
    np.testing.assert_array_equal(cleaned, rectangle((10, 40), (10, 40)) | second_part)
    erased = erase_mask([instance(ring | speck)], **SIZE, shape="exact")
    np.testing.assert_array_equal(erased, rectangle((10, 40), (10, 40)))


def test_objects_are_shaped_one_by_one_and_united() -> None:
    left, right = rectangle((10, 20), (10, 20)), rectangle((30, 40), (50, 60))
    boxes = erase_mask([instance(left), instance(right)], **SIZE, shape="box", dilation=0)
    np.testing.assert_array_equal(boxes, left | right)


def test_nothing_selected_or_empty_masks_erase_nothing() -> None:
    assert not erase_mask([], **SIZE).any()
    assert not erase_mask([instance(np.zeros((60, 80), dtype=bool))], **SIZE).any()


@pytest.mark.parametrize("shape", MASK_SHAPES)
def test_a_plain_mask_is_shaped_as_an_instance_is(shape: MaskShape) -> None:
    mask = rectangle((20, 30), (30, 50)) | rectangle((25, 40), (45, 55))
    expected = erase_mask([instance(mask)], **SIZE, shape=shape, dilation=4)
    np.testing.assert_array_equal(shape_mask(mask, shape, 4), expected)


def test_a_mask_file_tells_what_is_erased_from_other_objects() -> None:
    chosen, other = rectangle((20, 30), (30, 50)), rectangle((25, 40), (45, 70))
    pixels = mask_pixels([instance(other), instance(chosen)], [1], **SIZE, dilation=2)
    erased = erase_mask([instance(chosen)], **SIZE, dilation=2)
    np.testing.assert_array_equal(pixels == ERASED, erased)
    np.testing.assert_array_equal(pixels == KEPT, other & ~erased)
