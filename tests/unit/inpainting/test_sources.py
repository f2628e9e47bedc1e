"""Which objects are no source of texture."""

import numpy as np

from pconv_hpc.inpainting.sources import patch_source


def scene() -> tuple[np.ndarray, np.ndarray]:
    hole = np.zeros((100, 100), dtype=bool)
    hole[40:60, 40:60] = True
    return hole, ~hole


def test_an_object_beside_the_hole_is_no_source() -> None:
    hole, known = scene()
    neighbour = np.zeros_like(hole)
    neighbour[40:60, 62:80] = True
    source = patch_source(known, hole, neighbour)
    assert np.array_equal(source, known & ~neighbour)


def test_what_the_hole_lies_on_is_a_source_and_others_are_not() -> None:
    hole, known = scene()
    kept = np.zeros_like(hole)
    kept[20:80, 20:80] = True  # a couch, around the dog on it
    kept[hole] = False
    kept[90:95, 10:20] = True
    source = patch_source(known, hole, kept)
    assert source[30, 30]
    assert not source[92, 15]


def test_nothing_kept_changes_nothing() -> None:
    hole, known = scene()
    assert np.array_equal(patch_source(known, hole, np.zeros_like(hole)), known)
