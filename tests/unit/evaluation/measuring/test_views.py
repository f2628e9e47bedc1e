"""Which part of a photo is shown."""

import numpy as np

from pconv_hpc.evaluation.measuring.views import view_of


def hole_at(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    hole = np.zeros(shape, bool)
    hole[rows, columns] = True
    return hole


def test_a_hole_that_fits_is_in_the_middle() -> None:
    hole = hole_at((400, 300), slice(100, 120), slice(150, 190))
    assert view_of(hole, 64) == (slice(78, 142), slice(138, 202))


def test_a_view_lies_within_the_photo() -> None:
    hole = hole_at((400, 300), slice(390, 400), slice(0, 5))
    assert view_of(hole, 64) == (slice(336, 400), slice(0, 64))
    assert view_of(hole[370:], 64) == (slice(0, 30), slice(0, 64))  # a photo smaller than it


def test_of_a_large_hole_its_edge_is_shown() -> None:
    hole = hole_at((400, 300), slice(0, 400), slice(100, 300))
    view = view_of(hole, 64)
    assert hole[view].shape == (64, 64)
    assert hole[view].mean() == 0.5
