"""Baselines: holes filled, all else untouched, what lay in the hole never looked at."""

import numpy as np
import pytest

from pconv_hpc.data.sample_photos import sample_photos
from pconv_hpc.evaluation.baselines import (
    BASELINES,
    MAX_BIHARMONIC_PIXELS,
    BaselineFill,
)

NAMES = sorted(BASELINES)


def photo_and_hole(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    photo = sample_photos()["cat"][50 : 50 + size, 100 : 100 + size]
    hole = np.zeros((size, size), bool)
    hole[20:30, 15:40] = True
    hole[50:, 60:] = True
    return np.ascontiguousarray(photo), hole


@pytest.mark.parametrize("name", NAMES)
def test_only_the_hole_changes_and_what_it_hid_does_not_matter(name: str) -> None:
    photo, hole = photo_and_hole()
    other = photo.copy()
    other[hole] = (255, 0, 255)
    before = photo.copy()
    [filled, again] = BaselineFill(BASELINES[name])(np.stack([photo, other]), np.stack([hole] * 2))
    assert filled is not None
    assert again is not None
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    np.testing.assert_array_equal(filled[hole], again[hole])
    np.testing.assert_array_equal(photo, before)


def test_better_methods_are_better() -> None:
    photo, hole = photo_and_hole()
    errors = {
        name: np.abs(BASELINES[name](photo, hole).astype(float) - photo)[hole].mean()
        for name in NAMES
    }
    assert max(errors["telea"], errors["navier_stokes"], errors["biharmonic"]) < errors["mean"]


def test_mean_fill_is_the_mean_of_valid_pixels() -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[:2] = (10, 20, 30)
    hole = np.zeros((4, 4), bool)
    hole[3] = True
    photo[3] = 99
    assert BASELINES["mean"](photo, hole)[3, 0].tolist() == [7, 13, 20]


def test_biharmonic_leaves_large_holes_alone() -> None:
    side = int(np.sqrt(MAX_BIHARMONIC_PIXELS)) + 8
    photo = np.zeros((side, side, 3), np.uint8)
    hole = np.ones((side, side), bool)
    hole[0] = False
    assert BASELINES["biharmonic"](photo, hole) is None
