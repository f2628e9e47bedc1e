"""Baselines: holes filled, all else untouched, what lay in the hole never looked at."""

import sys

import cv2
import numpy as np
import pytest

from pconv_hpc.evaluation.measuring.baselines import (
    BASELINES,
    MAX_BIHARMONIC_PIXELS,
    absent_baselines,
)
from pconv_hpc.photos.sample_photos import sample_photos

NAMES = sorted(BASELINES)


def photo_and_hole(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    photo = sample_photos()["cat"][50 : 50 + size, 100 : 116 + size]
    hole = np.zeros((size, size + 16), bool)
    hole[20:30, 15:40] = True
    hole[50:, 60:] = True
    return np.ascontiguousarray(photo), hole


@pytest.mark.parametrize("name", NAMES)
def test_only_the_hole_changes_and_what_it_hid_does_not_matter(name: str) -> None:
    photo, hole = photo_and_hole()
    other = photo.copy()
    other[hole] = (255, 0, 255)
    before = photo.copy()
    filled, again = (BASELINES[name](picture, hole) for picture in (photo, other))
    assert filled is not None
    assert again is not None
    assert filled.dtype == np.uint8
    assert (filled[hole] != photo[hole]).any()
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    np.testing.assert_array_equal(filled[hole], again[hole])
    np.testing.assert_array_equal(photo, before)


def test_better_methods_are_better() -> None:
    photo, hole = (np.ascontiguousarray(array[:, :64]) for array in photo_and_hole())
    errors = {}
    for name in ("telea", "navier_stokes", "biharmonic", "mean"):  # the others invent texture
        filled = BASELINES[name](photo, hole)
        assert filled is not None
        errors[name] = np.abs(filled.astype(float) - photo)[hole].mean()
    assert max(errors, key=errors.__getitem__) == "mean"


def test_colours_are_not_swapped() -> None:
    photo = np.full((64, 64, 3), (200, 100, 20), np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    for name in NAMES:
        filled = BASELINES[name](photo, hole)
        assert filled is not None
        assert np.abs(filled.astype(int) - photo).max() <= 4, name


def test_mean_fill_is_the_mean_of_valid_pixels() -> None:
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[:2] = (10, 20, 30)
    hole = np.zeros((4, 4), bool)
    hole[3] = True
    photo[3] = 99
    filled = BASELINES["mean"](photo, hole)
    assert filled is not None
    assert filled[3, 0].tolist() == [7, 13, 20]


def test_biharmonic_leaves_large_holes_alone() -> None:
    side = int(np.sqrt(MAX_BIHARMONIC_PIXELS)) + 8
    photo = np.zeros((side, side, 3), np.uint8)
    hole = np.ones((side, side), bool)
    hole[0] = False
    assert BASELINES["biharmonic"](photo, hole) is None


def test_what_cannot_run_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert absent_baselines(NAMES) == {}
    monkeypatch.delattr(cv2, "xphoto")
    monkeypatch.setitem(sys.modules, "patchmatch", None)  # importing it fails
    absent = absent_baselines(NAMES)
    assert sorted(absent) == ["fsr", "patchmatch"]
    assert "pip install opencv-contrib-python-headless" in absent["fsr"]
    assert "pip install pypatchmatch" in absent["patchmatch"]
    assert absent_baselines(["telea", "mean"]) == {}
