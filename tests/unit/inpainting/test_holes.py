"""Crops: every hole pixel belongs to one, with context, and near holes share one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pconv_hpc.inpainting.holes import CropPlan, plan_crops
from pconv_hpc.photos.photo import Box


def plan(hole: np.ndarray, working_size: int = 32, context: float = 2.0) -> CropPlan:
    return plan_crops(hole, working_size=working_size, context=context)


def with_boxes(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> np.ndarray:
    hole = np.zeros(shape, dtype=bool)
    for box in boxes:
        hole[Box(*box).slices] = True
    return hole


def test_a_small_hole_gets_the_working_size_around_it() -> None:
    (crop,) = plan(with_boxes((200, 300), (100, 150, 108, 156))).crops
    assert (crop.box.height, crop.box.width) == (32, 32)
    assert crop.box == Box(88, 137, 120, 169)


def test_a_large_hole_gets_a_multiple_of_its_longer_side() -> None:
    (crop,) = plan(with_boxes((400, 400), (150, 150, 170, 230)), context=2.5).crops
    assert (crop.box.height, crop.box.width) == (200, 200)


def test_crops_stay_inside_the_photo() -> None:
    (crop,) = plan(with_boxes((200, 300), (0, 290, 5, 300))).crops
    assert crop.box == Box(0, 268, 32, 300)
    (crop,) = plan(with_boxes((20, 300), (0, 0, 5, 5))).crops
    assert crop.box == Box(0, 0, 20, 32)


def test_near_holes_share_a_crop_and_far_ones_do_not() -> None:
    near = plan(with_boxes((300, 300), (100, 100, 105, 105), (100, 125, 105, 130)))
    assert len(near.crops) == 1
    far = plan(with_boxes((300, 300), (10, 10, 15, 15), (250, 250, 255, 255)))
    assert len(far.crops) == 2


def test_holes_that_would_lose_resolution_stay_apart() -> None:
    hole = with_boxes((600, 600), (100, 100, 180, 180), (100, 250, 180, 330))
    crops = plan(hole).crops
    assert [max(crop.box.height, crop.box.width) for crop in crops] == [160, 160]


def test_a_hole_inside_a_ring_is_taken_with_it() -> None:
    hole = with_boxes((400, 400), (100, 100, 300, 300))
    hole[110:290, 110:290] = False
    hole[190:200, 190:200] = True
    assert len(plan(hole).crops) == 1


def test_ten_thousand_specks_are_few_crops() -> None:
    hole = np.zeros((1000, 1500), dtype=bool)
    hole[::12, ::12] = True
    assert len(plan(hole, working_size=256).crops) < 100


@settings(max_examples=150)
@given(
    st.data(),
    st.integers(8, 48),
    st.floats(1, 4),
)
def test_every_hole_pixel_belongs_to_one_crop_that_has_an_outside(
    data: st.DataObject, working_size: int, context: float
) -> None:
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    hole = np.zeros(shape, dtype=bool)
    for _ in range(data.draw(st.integers(0, 6))):
        top, left = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
        height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
        hole[top : top + height, left : left + width] = True
    made = plan(hole, working_size, context)
    owners = np.zeros(shape, dtype=int)
    for crop in made.crops:
        assert 0 <= crop.box.top < crop.box.bottom <= shape[0]
        assert 0 <= crop.box.left < crop.box.right <= shape[1]
        own = made.hole_of(crop, hole)
        assert own.shape == (crop.box.height, crop.box.width)
        owners[crop.box.slices] += own
        if not hole.all():
            assert not hole[crop.box.slices].all()
    np.testing.assert_array_equal(owners, hole)


@settings(max_examples=50)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 60), st.integers(1, 60))))
def test_noise_too(hole: np.ndarray) -> None:
    made = plan(hole, 16)
    owners = np.zeros(hole.shape, dtype=int)
    for crop in made.crops:
        owners[crop.box.slices] += made.hole_of(crop, hole)
    np.testing.assert_array_equal(owners, hole)
