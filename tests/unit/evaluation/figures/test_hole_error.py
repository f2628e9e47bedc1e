"""Errors of filled holes: known cases, and their means by hole ratio."""

import dataclasses

import numpy as np
import pytest

from pconv_hpc.evaluation.figures import hole_error
from pconv_hpc.evaluation.figures.hole_error import (
    BORDERS,
    HoleError,
    MeasuredHole,
    hole_l1,
    psnr_db,
    rows_by_hole_ratio,
    ssim,
    touches_border,
)


def test_known_errors() -> None:
    truth = np.zeros((16, 16, 3), np.float32)
    hole = np.zeros((16, 16), bool)
    hole[:4] = True
    result = np.where(hole[..., None], np.float32(0.1), truth)
    assert hole_l1(truth, result, hole) == pytest.approx(0.1, rel=1e-5)
    assert psnr_db(truth, result) == pytest.approx(-10 * np.log10(0.01 / 4), rel=1e-4)
    assert 0 < ssim(truth, result) < 1
    assert (hole_l1(truth, truth, hole), psnr_db(truth, truth)) == (0.0, 100.0)
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_similarity_in_strips_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, result = rng.random((2, 57, 40, 3)).astype(np.float32)
    whole = ssim(truth, result)
    for rows in (1, 10, 46, 47):
        monkeypatch.setattr(hole_error, "_SSIM_PIXELS", rows * 40)
        assert ssim(truth, result) == pytest.approx(whole, rel=1e-6)


def test_texture_is_a_median_over_the_holes_that_have_one() -> None:
    errors = [error(n, "a", 0.05, l1) for n, l1 in enumerate((0.5, 1.0, 9.0))]
    errors.append(dataclasses.replace(error(3, "a", 0.05, 2.0), texture=None))
    [row, _] = rows_by_hole_ratio(errors, measured_in(errors))
    assert (row["texture"], row["photo_texture"]) == (1.0, 1.0)
    assert row["seconds"] == pytest.approx(2 * 12.5 / 4)


def test_touching_the_border() -> None:
    hole = np.zeros((8, 8), bool)
    hole[1:-1, 1:-1] = True
    assert not touches_border(hole)
    for place in ((0, 3), (7, 3), (3, 0), (3, 7)):
        at_border = hole.copy()
        at_border[place] = True
        assert touches_border(at_border)


def error(
    photo: int, method: str, ratio: float, l1: float, *, masks: str = "strokes", border: bool = True
) -> HoleError:
    return HoleError(
        photo=photo,
        key=f"{photo}.png",
        method=method,
        masks=masks,
        number=0,
        hole_ratio=ratio,
        touches_border=border,
        photo_texture=1.0,
        l1=l1,
        psnr=20.0,
        ssim=0.5,
        lpips=None,
        texture=l1,
        seconds=2 * l1,
    )


def measured_in(errors: list[HoleError]) -> list[MeasuredHole]:
    """Return the holes that any method filled."""
    return [
        *dict.fromkeys(
            MeasuredHole(
                photo=error.photo,
                masks=error.masks,
                number=error.number,
                hole_ratio=error.hole_ratio,
                touches_border=error.touches_border,
                photo_texture=error.photo_texture,
            )
            for error in errors
        )
    ]


def test_means_are_of_bins_that_are_open_below_and_closed_above() -> None:
    errors = [error(0, "a", 0.1, 1.0), error(1, "a", 0.05, 2.0), error(2, "a", 0.11, 4.0)]
    rows = rows_by_hole_ratio(errors, measured_in(errors))
    found = {row["hole"]: (row["holes"], row["l1"]) for row in rows}
    assert found == {"1%–10%": (2, 1.5), "10%–20%": (1, 4.0), "all": (3, 2.33333)}
    assert {row["lpips"] for row in rows} == {None}


def test_a_method_has_no_mean_over_easier_holes_than_the_others() -> None:
    errors = [error(0, "a", 0.05, 1.0), error(1, "a", 0.15, 3.0), error(0, "small", 0.05, 1.0)]
    rows = rows_by_hole_ratio(errors, measured_in(errors))
    assert [row["hole"] for row in rows if row["method"] == "small"] == ["1%–10%"]
    assert [row["hole"] for row in rows if row["method"] == "a"] == ["1%–10%", "10%–20%", "all"]


def test_a_method_alone_has_no_mean_over_the_holes_that_it_filled_either() -> None:
    errors = [error(0, "small", 0.05, 1.0), error(1, "small", 0.15, 2.0)]
    unfilled = error(2, "nobody", 0.16, 0.0, border=False)
    rows = rows_by_hole_ratio(errors, measured_in([*errors, unfilled]), borders=BORDERS)
    assert [(row["hole"], row["border"]) for row in rows] == [
        ("1%–10%", "any"),
        ("1%–10%", "touching"),
        ("10%–20%", "touching"),
        ("all", "touching"),
    ]
    assert rows_by_hole_ratio(errors[1:], measured_in([errors[1], unfilled])) == []


def test_kinds_of_masks_and_borders_are_kept_apart() -> None:
    errors = [
        error(0, "a", 0.05, 1.0, border=True),
        error(1, "a", 0.05, 2.0, border=False),
        error(0, "a", 0.05, 3.0, masks="boxes"),
    ]
    rows = rows_by_hole_ratio(errors, measured_in(errors), borders=BORDERS)
    rows = [row for row in rows if row["hole"] == "all"]
    assert {(row["masks"], row["border"]): row["l1"] for row in rows} == {
        ("strokes", "any"): 1.5,
        ("strokes", "clear"): 2.0,
        ("strokes", "touching"): 1.0,
        ("boxes", "any"): 3.0,
        ("boxes", "touching"): 3.0,
    }
