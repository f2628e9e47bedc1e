"""Filling from the outside in, with a fake network that tells where it could not see anything."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pconv_hpc.inpainting.outside_in import Tile, fill_from_outside

REACH = 5


def predict_within_reach(tile: Tile) -> np.ndarray:
    """Copy the nearest valid pixel, but -1000 where a network of this reach has no output."""
    depth, nearest = ndimage.distance_transform_cdt(
        ~tile.valid, metric="chessboard", return_indices=True
    )
    output = tile.rgb[nearest[0], nearest[1]]
    return np.where((depth <= REACH)[..., None], output, np.float32(-1000))


def run(
    rgb: np.ndarray,
    valid: np.ndarray,
    tile_shape: tuple[int, int],
    predict: Callable[[Tile], np.ndarray] = predict_within_reach,
) -> tuple[np.ndarray, list[int]]:
    """Return what was filled and the number of tiles of each round."""
    filling = fill_from_outside(rgb, valid, tile_shape=tile_shape, reach=REACH)
    rounds = []
    try:
        tiles = next(filling)
        while True:
            assert all(tile.valid.shape == tile_shape for tile in tiles)
            assert all((tile.rgb[~tile.valid] == 0).all() for tile in tiles)
            rounds.append(len(tiles))
            tiles = filling.send([predict(tile) for tile in tiles])
    except StopIteration as finished:
        return finished.value, rounds


def test_a_small_hole_takes_one_tile_and_one_round() -> None:
    rgb = np.full((20, 24, 3), 0.4, dtype=np.float32)
    valid = np.ones((20, 24), dtype=bool)
    valid[5:10, 5:10] = False
    filled, rounds = run(rgb, valid, (32, 32))
    assert rounds == [1]
    np.testing.assert_array_equal(filled, rgb)


def test_a_deep_hole_takes_several_rounds() -> None:
    rgb = np.full((64, 64, 3), 0.4, dtype=np.float32)
    valid = np.zeros((64, 64), dtype=bool)
    valid[:2] = True
    filled, rounds = run(rgb, valid, (64, 64))
    assert rounds == [1] * 31  # 62 rows, 2 at a time
    np.testing.assert_allclose(filled, 0.4, atol=1e-6)


def test_a_picture_larger_than_a_tile_is_covered_by_overlapping_ones() -> None:
    rgb = np.full((100, 70, 3), 0.4, dtype=np.float32)
    valid = np.zeros((100, 70), dtype=bool)
    valid[:, :4] = valid[:, -4:] = True
    filled, rounds = run(rgb, valid, (32, 32))
    assert rounds[0] > 4
    np.testing.assert_allclose(filled, 0.4, atol=1e-6)


def test_overlapping_tiles_are_blended_without_a_step() -> None:
    rgb = np.zeros((64, 512, 3), dtype=np.float32)
    valid = np.ones((64, 512), dtype=bool)
    valid[31:33] = False
    counter = iter(range(1000))
    filled, _ = run(
        rgb, valid, (64, 64), lambda tile: np.full((64, 64, 3), next(counter), dtype=np.float32)
    )
    row = filled[31, :, 0]
    assert row[0] == 0
    assert row[-1] == 14
    assert np.abs(np.diff(row)).max() < 0.1


@settings(max_examples=60)
@given(st.data())
def test_every_hole_pixel_is_filled_from_what_was_seen(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 80), st.integers(1, 80)))
    tile_shape = data.draw(st.sampled_from([(8, 8), (16, 16), (33, 17), (96, 96)]))
    seed = data.draw(st.integers(0, 1000))
    generator = np.random.default_rng(seed)
    coarse = generator.random((-(-shape[0] // 16), -(-shape[1] // 16))) < 0.3
    valid = np.kron(coarse, np.ones((16, 16), dtype=bool))[: shape[0], : shape[1]]
    valid[data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))] = True
    rgb = generator.random((*shape, 3), dtype=np.float32)
    rgb[~valid] = np.nan  # looked at nowhere
    filled, _ = run(rgb, valid, tile_shape)
    assert np.isfinite(filled).all()
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_nothing_to_fill_from() -> None:
    rgb = np.zeros((4, 4, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="nothing to fill from"):
        run(rgb, np.zeros((4, 4), dtype=bool), (8, 8))
