"""Which mask a measurement takes: every bin in turn, and the same one each time."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.evaluation.measuring.mask_kinds import MaskKind, open_mask_kinds
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.masks.mask_drawing import bin_of
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.photos.decode import ImageError
from tests.support.mask_folders import make_mask_folder


@pytest.fixture(scope="module")
def silhouettes(tmp_path_factory: pytest.TempPathFactory) -> Silhouettes:
    return Silhouettes.from_folder(make_mask_folder(tmp_path_factory.mktemp("masks") / "m"), seed=0)


def open_kinds(names: list[str], silhouettes: Silhouettes, *, seed: int = 0) -> list[MaskKind]:
    return open_mask_kinds(names, seed=seed, silhouettes=silhouettes)


@pytest.mark.parametrize("shape", [(32, 32), (90, 60)])
def test_measurements_in_a_row_take_the_bins_in_turn(
    shape: tuple[int, int], silhouettes: Silhouettes
) -> None:
    kinds = open_kinds(["strokes", "boxes", "objects"], silhouettes)
    others = open_kinds(["strokes", "boxes", "objects"], silhouettes, seed=1)
    assert [kind.name for kind in kinds] == ["strokes", "boxes", "objects"]
    for kind, other in zip(kinds, others, strict=True):
        holes = [kind.hole(number, shape=shape) for number in range(12)]
        assert {hole.shape for hole in holes} == {shape}
        bins = bin_of(np.array([hole.mean() for hole in holes]))
        assert bins.tolist() == [0, 1, 2, 3, 4, 5] * 2
        assert (holes[0] != holes[6]).any()
        np.testing.assert_array_equal(holes[3], kind.hole(3, shape=shape))
        assert any((hole != other.hole(n, shape=shape)).any() for n, hole in enumerate(holes))


def test_drawn_holes_of_squares_are_those_of_a_bank(
    tmp_path: Path, silhouettes: Silhouettes
) -> None:
    draw_bank(tmp_path / "bank.h5", num_masks=600, size=32, style_weights={"strokes": 1.0})
    drawn, stored = open_kinds(["strokes", str(tmp_path / "bank.h5")], silhouettes)
    for number in range(12):
        np.testing.assert_array_equal(
            drawn.hole(number, shape=(32, 32)), stored.hole(number, shape=(32, 32))
        )


def test_a_narrow_photo_is_told_as_such(silhouettes: Silhouettes) -> None:
    class Nothing(Silhouettes):
        def draw(self, rng: object, region: object, area: float) -> np.ndarray:
            return np.zeros((20, 900), np.bool_)

    [kind] = open_kinds(["objects"], Nothing([]))
    with pytest.raises(ImageError, match="no objects mask of 900 x 20 pixels"):
        kind.hole(0, shape=(20, 900))


def test_a_bank_stands_for_the_styles_in_it_at_any_size(
    tmp_path: Path, silhouettes: Silhouettes
) -> None:
    path = tmp_path / "mine.h5"
    draw_bank(path, num_masks=48, size=40, style_weights={"strokes": 1.0, "boxes": 1.0})
    kinds = open_kinds([str(path)], silhouettes)
    assert [kind.name for kind in kinds] == ["mine: strokes", "mine: boxes"]
    assert {kind.fingerprint for kind in kinds} == {MaskBank(path).fingerprint}
    for number in range(6):
        own = kinds[0].hole(number, shape=(40, 40))
        doubled = kinds[0].hole(number, shape=(80, 120))
        np.testing.assert_array_equal(doubled, own.repeat(2, axis=0).repeat(3, axis=1))
        assert bin_of(np.array([doubled.mean()])) == number
        assert 0 < kinds[0].hole(number, shape=(32, 36)).mean() < 1


def test_a_mask_of_which_scaling_leaves_nothing_is_named(
    tmp_path: Path, silhouettes: Silhouettes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dots.h5"
    draw_bank(path, num_masks=6, size=64, style_weights={"boxes": 1.0})
    dots = np.ones((1, 64, 64), np.uint8)
    dots[:, 1::2, 1::2] = 0
    monkeypatch.setattr(MaskBank, "valid_masks", lambda bank, indices: dots)
    [kind] = open_kinds([str(path)], silhouettes)
    with pytest.raises(
        UsageError, match=r"dots\.h5: mask 0 is all hole or all valid on a photo of"
    ):
        kind.hole(0, shape=(32, 32))


def test_banks_of_one_file_name_are_told_apart_by_their_paths(
    tmp_path: Path, silhouettes: Silhouettes
) -> None:
    paths = [tmp_path / run / "masks" / "val.h5" for run in ("a", "b")]
    for seed, path in enumerate(paths):
        draw_bank(path, num_masks=6, size=32, style_weights={"boxes": 1.0}, seed=seed)
    kinds = open_kinds([*map(str, paths)], silhouettes)
    assert [kind.name for kind in kinds] == [f"{path}: boxes" for path in paths]
    assert [kind.source for kind in kinds] == [*map(str, paths)]


@pytest.mark.parametrize("names", [["strokes", "strokes"], ["a.h5", "boxes", "./a.h5"]])
def test_masks_named_twice_are_refused(names: list[str], silhouettes: Silhouettes) -> None:
    with pytest.raises(UsageError, match="names the same masks twice"):
        open_kinds(names, silhouettes)


def test_masks_that_are_not_there_are_named(silhouettes: Silhouettes) -> None:
    with pytest.raises(UsageError, match="--masks circles: neither a kind of masks"):
        open_kinds(["circles"], silhouettes)
