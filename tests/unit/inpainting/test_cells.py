"""Large holes cut into cells."""

import numpy as np
import pytest

from pconv_hpc.inpainting import cells as module
from pconv_hpc.inpainting.cells import plan_cells
from pconv_hpc.photos.photo import Box


def whole(hole: np.ndarray) -> Box:
    return Box(0, 0, *hole.shape)


def test_a_small_hole_is_one_cell_with_surroundings() -> None:
    hole = np.zeros((2000, 3000), dtype=bool)
    hole[700:800, 1000:1300] = True
    [cell] = plan_cells(hole, whole(hole), hole)
    assert cell.inner == (700, 1000, 800, 1300)
    assert cell.box == (250, 550, 1250, 1750)
    assert cell.of(hole, whole(hole)).sum() == hole.sum()


def test_a_part_of_the_photo_is_planned_as_the_whole_is() -> None:
    hole = np.zeros((900, 800), dtype=bool)
    hole[300:340, 200:260] = True
    place = Box(280, 150, 400, 300)
    [cell] = plan_cells(hole[place.slices], place, hole)
    [same] = plan_cells(hole, whole(hole), hole)
    assert cell == same
    assert np.array_equal(cell.of(hole[place.slices], place), same.of(hole, whole(hole)))


def test_no_hole_is_no_cell() -> None:
    hole = np.zeros((20, 30), dtype=bool)
    assert list(plan_cells(hole, whole(hole), hole)) == []


@pytest.mark.parametrize("kind", ["block", "specks"])
def test_a_large_hole_is_covered_once_from_the_outside_in(kind: str) -> None:
    hole = np.zeros((4200, 5000), dtype=bool)
    if kind == "block":
        hole[500:3700, 600:4400] = True
    else:
        hole[100::400, 100::300] = True
    plan = list(plan_cells(hole, whole(hole), hole))
    assert len(plan) > 4
    times = np.zeros(hole.shape, dtype=np.uint8)
    known = ~hole
    shares = []
    for cell in plan:
        assert cell.box.height * cell.box.width <= 2_000_000
        shares.append(known[cell.box.slices].mean())
        own = cell.of(hole, whole(hole))
        times[cell.box.slices] += own
        known[cell.box.slices] |= own
    assert np.array_equal(times == 1, hole)
    assert times.max() == 1
    assert min(shares) > 0.25  # every cell sees something to take its texture from
    assert shares[0] == max(shares[:3])


def test_a_hole_as_large_as_memory_allows_is_one_cell() -> None:
    hole = np.zeros((4000, 6000), dtype=bool)
    hole[1000:2000, 2000:3000] = True  # one megapixel
    [cell] = plan_cells(hole, whole(hole), hole)
    assert cell.box.height * cell.box.width <= module._MAX_PIXELS
