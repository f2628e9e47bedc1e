"""Pictures of numbered instances: tints, the outline of what is selected, labels, sizes."""

import numpy as np

from pconv_hpc.segmentation.overlay import draw_overlay
from tests.support.drawn_instances import instance, rectangle

GRAY = np.full((240, 320, 3), 128, dtype=np.uint8)
LEFT = instance(rectangle((60, 180), (20, 140), 240, 320), "person", 0.9)
RIGHT = instance(rectangle((60, 180), (180, 300), 240, 320), "car", 0.8)


def _num_white(picture: np.ndarray) -> int:
    return int((picture > 200).all(axis=2).sum())


def _red(picture: np.ndarray) -> np.ndarray:
    return (picture == (255, 0, 0)).all(axis=2)


def test_objects_are_tinted_differently_and_the_rest_stays() -> None:
    picture = draw_overlay(GRAY, [LEFT, RIGHT])
    assert picture.shape == GRAY.shape
    assert picture.dtype == np.uint8
    corners = [tuple(picture[65, 25]), tuple(picture[65, 185]), tuple(picture[5, 5])]
    assert len(set(corners)) == 3
    assert corners[2] == (128, 128, 128)
    assert not _red(picture).any()


def test_selected_objects_have_a_red_outline() -> None:
    red = _red(draw_overlay(GRAY, [LEFT, RIGHT], selected=[1]))
    assert red[57:60, 180:300].all()
    assert not red[:, :170].any()


def test_every_object_has_a_label_even_where_objects_coincide() -> None:
    one, two = (_num_white(draw_overlay(GRAY, objects)) for objects in ([LEFT], [LEFT, LEFT]))
    assert one > 50
    assert two > 1.6 * one  # the second label does not lie on the first


def test_label_at_the_edge_stays_inside() -> None:
    sliver = instance(rectangle((238, 240), (318, 320), 240, 320), "refrigerator", 0.9)
    picture = draw_overlay(GRAY, [sliver])
    alone = _num_white(draw_overlay(GRAY, [instance(LEFT.mask, "refrigerator", 0.9)]))
    assert _num_white(picture) == alone  # nothing of the text is cut off


def test_large_photos_are_scaled_down() -> None:
    large = instance(rectangle((0, 900), (0, 1200), 1800, 2400))
    picture = draw_overlay(np.zeros((1800, 2400, 3), dtype=np.uint8), [large], selected=[0])
    assert picture.shape == (1200, 1600, 3)
    assert _red(picture)[:600, 800:803].all()


def test_photo_without_objects_is_unchanged() -> None:
    np.testing.assert_array_equal(draw_overlay(GRAY, []), GRAY)
