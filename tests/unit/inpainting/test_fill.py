"""One photo from mask to filled holes, with a fake network."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.detail import DETAILS
from pconv_hpc.inpainting.fill import fill_photo, side_by_side
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.settings import FillSettings, Strategy
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.photo import Photo

GRAY = 0.5


def make_photo(height: int, width: int, orientation: int = 1, dtype: type = np.uint8) -> Photo:
    values = np.random.default_rng(0).integers(
        0, np.iinfo(dtype).max, (height, width, 3), dtype=dtype, endpoint=True
    )
    return Photo(format="PNG", pixels=values, color="rgb", orientation=orientation)


def erase(
    photo: Photo,
    hole: np.ndarray,
    options: FillSettings,
    reach: int = 20,
    kept: np.ndarray | None = None,
) -> list[int]:
    """Fill with gray; return the number of tiles of each round."""
    filling = fill_photo(photo, hole, options, reach=reach, kept=kept)
    rounds: list[int] = []
    tiles = next(filling, None)
    while tiles is not None:
        rounds.append(len(tiles))
        try:
            tiles = filling.send([np.full_like(tile.rgb, GRAY) for tile in tiles])
        except StopIteration:
            tiles = None
    return rounds


@settings(max_examples=120)
@given(st.data())
def test_pixels_outside_the_mask_never_change_and_all_inside_do(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    orientation = data.draw(st.integers(1, 8))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    photo = make_photo(height, width, orientation, dtype)
    hole = np.zeros((photo.height, photo.width), dtype=bool)
    for _ in range(data.draw(st.integers(0, 4))):
        top = data.draw(st.integers(0, photo.height - 1))
        left = data.draw(st.integers(0, photo.width - 1))
        hole[
            top : top + data.draw(st.integers(1, 50)), left : left + data.draw(st.integers(1, 50))
        ] = True
    options = FillSettings(
        strategy=data.draw(st.sampled_from(get_args(Strategy))),
        detail=data.draw(st.sampled_from(DETAILS)),
        working_size=data.draw(st.sampled_from([8, 16, 48])),
        context=data.draw(st.floats(1, 3)),
        max_reduction=data.draw(st.floats(1, 5)),
        rim=0,
        max_full_pixels=data.draw(st.sampled_from([100, 1 << 21])),
    )
    maximum = np.iinfo(dtype).max
    photo.pixels[:] = photo.pixels // 4  # dark outside
    photo.upright[hole] = maximum  # bright inside, gray is to come
    before = photo.pixels.copy()
    if hole.all():
        with pytest.raises(ImageError, match="covers the whole photo"):
            erase(photo, hole, options)
        np.testing.assert_array_equal(photo.pixels, before)
        return
    erase(photo, hole, options)
    shown_before = Photo(format="PNG", pixels=before, color="rgb", orientation=orientation)
    np.testing.assert_array_equal(photo.upright[~hole], shown_before.upright[~hole])
    # gray, and what scaling up overshoots where it meets the dark
    assert (photo.upright[hole] < maximum * 0.7).all()


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_what_lay_in_the_hole_has_no_part_in_what_comes(strategy: Strategy) -> None:
    def predict(tile: Tile) -> np.ndarray:
        return np.asarray(tile.rgb * 0.9 + 0.05, dtype=np.float32)

    hole = np.zeros((90, 120), dtype=bool)
    hole[20:60, 30:90] = True
    results = []
    for value in (0, 255):
        photo = make_photo(90, 120)
        photo.pixels[hole] = value
        options = FillSettings(strategy=strategy, working_size=32, max_reduction=2)
        filling = fill_photo(photo, hole, options, reach=9)
        tiles = next(filling, None)
        while tiles is not None:
            try:
                tiles = filling.send([predict(tile) for tile in tiles])
            except StopIteration:
                tiles = None
        results.append(photo.pixels)
    np.testing.assert_array_equal(results[0], results[1])


def test_far_holes_share_a_round() -> None:
    hole = np.zeros((300, 300), dtype=bool)
    hole[10:20, 10:20] = hole[250:260, 250:260] = True
    assert erase(make_photo(300, 300), hole, FillSettings(working_size=32)) == [2]


def test_the_scale_follows_the_depth_of_a_hole_and_not_its_length() -> None:
    photo, hole = make_photo(400, 400), np.zeros((400, 400), dtype=bool)
    hole[100:300, 100:300] = True
    options = FillSettings(working_size=160, max_reduction=1000, detail="none")
    assert erase(photo, hole, options, reach=50) == [1, 1, 1]  # 100 deep: scaled down to 67
    own_scale = replace(options, max_reduction=1)
    assert min(erase(photo, hole, own_scale, reach=50)) > 1
    hole[110:300, 100:300] = False  # as long, and 5 deep
    assert erase(photo, hole, options, reach=50)[0] > 1


def test_a_tile_grows_with_its_crop() -> None:
    photo, hole = make_photo(400, 400), np.zeros((400, 400), dtype=bool)
    sides = []
    for length in (20, 80, 120, 200):
        hole[100:110, 100 : 100 + length] = True
        tiles = next(fill_photo(photo, hole, FillSettings(working_size=128), reach=50))
        sides.append({tile.valid.shape for tile in tiles})
    assert sides == [{(128, 128)}, {(192, 192)}, {(256, 256)}, {(256, 256)}]


@pytest.mark.parametrize("orientation", [1, 6])
def test_detail_comes_from_the_photo_and_keeps_to_the_hole(orientation: int) -> None:
    photo = make_photo(180, 220, orientation)
    before = photo.upright.copy()
    hole = np.zeros((photo.height, photo.width), dtype=bool)
    hole[60:110, 70:120] = hole[60:90, 150:160] = True
    erase(photo, hole, FillSettings(working_size=64), reach=40)
    np.testing.assert_array_equal(photo.upright[~hole], before[~hole])
    assert photo.upright[hole].std() > 0.6 * before[~hole].std()  # noise, not the network's gray
    flat = make_photo(180, 220, orientation)
    erase(flat, hole, FillSettings(working_size=64, detail="none", rim=0), reach=40)
    assert flat.upright[hole].std() < 1


def test_texture_is_not_taken_from_objects_that_are_kept() -> None:
    values = np.random.default_rng(0).integers(90, 110, (200, 300, 3), dtype=np.uint8)
    values[80:120, 180:240, 0] = 255  # red, beside the hole
    hole, kept = np.zeros((200, 300), dtype=bool), np.zeros((200, 300), dtype=bool)
    hole[85:115, 110:170] = True
    kept[75:125, 175:245] = True
    photo = Photo(format="PNG", pixels=values.copy(), color="rgb")
    erase(photo, hole, FillSettings(working_size=64), reach=40, kept=kept)
    assert photo.pixels[hole][:, 0].max() < 150


def test_holes_of_many_cells_are_all_filled_with_texture() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(60, 190, (2100, 2100, 3), dtype=np.uint8)
    hole = np.zeros((2100, 2100), dtype=bool)
    holes = [np.s_[top : top + 40, left : left + 40] for top in (9, 1990) for left in (5, 1999)]
    for part in holes:
        hole[part] = True
    photo = Photo(format="PNG", pixels=values.copy(), color="rgb")
    erase(photo, hole, FillSettings(strategy="full", max_full_pixels=10_000), reach=40)
    np.testing.assert_array_equal(photo.pixels[~hole], values[~hole])
    for part in holes:
        assert photo.pixels[part][10:30, 10:30].std() > 0.5 * values.std()


def test_strategies_give_the_network_what_they_say() -> None:
    hole = np.zeros((200, 300), dtype=bool)
    hole[90:100, 90:100] = True
    shapes = {}
    for strategy, limit in (
        ("crop", 1 << 21),
        ("resize", 1 << 21),
        ("full", 1 << 21),
        ("full", 15000),
    ):
        options = FillSettings(
            strategy=strategy,
            working_size=64,
            max_full_pixels=limit,  # type: ignore[arg-type]
        )
        (tile,) = next(fill_photo(make_photo(200, 300), hole, options, reach=50))
        shapes[strategy, limit] = tile.valid.shape
    assert list(shapes.values()) == [(64, 64), (64, 64), (256, 320), (128, 192)]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="the mask is 5 x 4 and the photo 6 x 4 pixels"):
        erase(make_photo(4, 6), np.zeros((4, 5), dtype=bool), FillSettings())
    with pytest.raises(ImageError, match="drawn on the photo as stored"):
        erase(make_photo(4, 6, orientation=6), np.zeros((4, 6), dtype=bool), FillSettings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"working_size": 4},
        {"context": 0.5},
        {"max_reduction": 0.5},
        {"rim": -1.0},
        {"max_full_pixels": 1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        FillSettings(**wrong)  # type: ignore[arg-type]


def test_generators_that_end_at_different_times_run_side_by_side() -> None:
    log: list[tuple[str, list[int]]] = []

    def worker(name: str, rounds: int):  # type: ignore[no-untyped-def]
        for number in range(rounds):
            received = yield [f"{name}{number}"] * (number + 1)
            log.append((name, received))

    together = side_by_side([worker("a", 1), worker("b", 3), worker("c", 0)])
    assert next(together) == ["a0", "b0"]
    assert together.send([1, 2]) == ["b1", "b1"]  # type: ignore[list-item]
    assert together.send([3, 4]) == ["b2", "b2", "b2"]  # type: ignore[list-item]
    with pytest.raises(StopIteration):
        together.send([5, 6, 7])  # type: ignore[list-item]
    assert log == [("a", [1]), ("b", [2]), ("b", [3, 4]), ("b", [5, 6, 7])]
