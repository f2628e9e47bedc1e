"""What the network made, joined with texture of the photo."""

import numpy as np
import pytest
from skimage import data

from pconv_hpc.inpainting.detail import Detail, add_detail


def grass_and_blob() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grass, a hole in it, and an even fill of its mean colour as from a poor network."""
    rgb = np.repeat(data.grass()[:256, :256, None] / np.float32(255), 3, axis=2)
    hole = np.zeros((256, 256), dtype=bool)
    hole[90:160, 80:170] = True
    blob = np.broadcast_to(rgb[~hole].mean(0), rgb.shape).astype(np.float32)
    return rgb, hole, blob


def fill(rgb: np.ndarray, hole: np.ndarray, blob: np.ndarray, detail: Detail) -> np.ndarray:
    return add_detail(rgb, blob, hole, ~hole, ~hole, detail=detail, scale=1.0)


def test_a_blob_on_grass_becomes_grass() -> None:
    rgb, hole, blob = grass_and_blob()
    spread = rgb[hole].std()
    patches, blended = (fill(rgb, hole, blob, detail) for detail in ("patches", "blended"))
    assert patches[hole].std() == pytest.approx(spread, rel=0.3)
    assert blended[hole].std() < patches[hole].std()
    for result in (patches, blended):
        assert result.dtype == np.float32
        assert np.array_equal(result[~hole], rgb[~hole])
        assert result.min() >= 0
        assert result.max() <= 1


def test_what_lies_in_the_hole_has_no_part_and_the_result_repeats() -> None:
    rgb, hole, blob = grass_and_blob()
    other = np.where(hole[..., None], np.float32(1), rgb)
    assert np.array_equal(fill(rgb, hole, blob, "patches"), fill(other, hole, blob, "patches"))


def test_other_holes_have_no_part() -> None:
    rgb, hole, blob = grass_and_blob()
    known = ~hole
    known[:, 180:220] = False
    other = rgb.copy()
    other[:, 180:220] = 1
    one, two = (
        add_detail(picture, blob, hole, known, known, detail="patches", scale=1.0)
        for picture in (rgb, other)
    )
    assert np.array_equal(one[hole], two[hole])


def test_the_network_gives_large_structure() -> None:
    rgb, hole, blob = grass_and_blob()
    brighter = np.clip(blob + 0.2, 0, 1)
    middle = np.s_[110:140, 110:140]
    lift = fill(rgb, hole, brighter, "patches")[middle] - fill(rgb, hole, blob, "patches")[middle]
    assert 0.05 < lift.mean() < 0.2


@pytest.mark.parametrize("rows", [slice(0, 4), slice(0, 0)])
def test_with_hardly_any_source_the_network_fills_alone(rows: slice) -> None:
    rgb, hole, blob = grass_and_blob()
    source = np.zeros_like(hole)
    source[rows] = True
    result = add_detail(rgb, blob, hole, ~hole, source, detail="patches", scale=1.0)
    assert np.array_equal(result[hole], blob[hole])


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (8, 8), (30, 5)])
def test_tiny_pictures_are_filled(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), 0.25, np.float32)
    hole = np.zeros(shape, dtype=bool)
    hole[-1, -1] = True
    result = fill(rgb, hole, np.full_like(rgb, 0.5), "patches")
    assert np.isfinite(result).all()
