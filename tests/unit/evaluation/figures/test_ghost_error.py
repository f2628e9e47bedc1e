"""Means of ghosting by mask shape."""

import dataclasses

import pytest

from pconv_hpc.evaluation.figures.ghost_error import GhostError, rows_by_shape

ERROR = GhostError(
    photo=0,
    key="0.png",
    method="a",
    shape="box",
    hole_ratio=0.1,
    l1=0.2,
    psnr=30.0,
    lpips=0.1,
    outline_residue=-0.5,
    outline_visible=0.25,
    rim_residue=1.0,
    rim_visible=0.75,
    seconds=0.5,
)


def test_means_are_over_objects_that_a_method_erased_with_a_shape() -> None:
    errors = [
        ERROR,
        dataclasses.replace(ERROR, photo=1, l1=0.4, rim_visible=0.25),
        dataclasses.replace(ERROR, photo=1, method="small"),
        dataclasses.replace(ERROR, photo=0, shape="hull", lpips=None),
        dataclasses.replace(ERROR, photo=1, shape="hull", lpips=None),
    ]
    rows = rows_by_shape(errors, num_objects=2)
    assert [(row["method"], row["shape"], row["objects"]) for row in rows] == [
        ("a", "box", 2),
        ("a", "hull", 2),
    ]
    assert rows[0]["l1"] == pytest.approx(0.3)
    assert rows[0]["rim_visible"] == 0.5
    assert rows[1]["lpips"] is None
    assert ERROR.visible == 0.75
    assert rows_by_shape(errors, num_objects=3) == []
