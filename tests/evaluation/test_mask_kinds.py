"""Which mask a measurement takes: every bin in turn, and the same one each time."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.data.mask_bank import draw_bank
from pconv_hpc.data.mask_drawing import bin_of
from pconv_hpc.errors import UsageError
from pconv_hpc.evaluation.mask_kinds import MaskKind, open_mask_kinds
from pconv_hpc.mpi import World
from tests.data.mask_folders import make_mask_folder


def open_kinds(names: list[str], out_dir: Path, *, size: int, seed: int = 0) -> list[MaskKind]:
    objects_from = out_dir / "objects"
    if not objects_from.is_dir():
        make_mask_folder(objects_from)
    return open_mask_kinds(
        names, out_dir, size=size, seed=seed, objects_from=objects_from, world=World({})
    )


def test_measurements_in_a_row_take_the_bins_in_turn(tmp_path: Path) -> None:
    kinds = open_kinds(["strokes", "objects"], tmp_path, size=32)
    assert [kind.name for kind in kinds] == ["strokes", "objects"]
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == [
        "masks_objects.h5",
        "masks_strokes.h5",
    ]
    for kind in kinds:
        holes = [kind.hole(number, size=32, seed=0) for number in range(12)]
        bins = bin_of(np.array([hole.mean() for hole in holes]))
        assert bins.tolist() == [0, 1, 2, 3, 4, 5] * 2
        assert (holes[0] != holes[6]).any()
        np.testing.assert_array_equal(holes[3], kind.hole(3, size=32, seed=0))
        others = [kind.hole(number, size=32, seed=1) for number in range(12)]
        assert any((hole != other).any() for hole, other in zip(holes, others, strict=True))


def test_a_bank_stands_for_the_styles_in_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    draw_bank(path, num_masks=48, size=40, style_weights={"strokes": 1.0, "boxes": 1.0})
    kinds = open_kinds([str(path)], tmp_path, size=32)
    assert [kind.name for kind in kinds] == ["mine: strokes", "mine: boxes"]
    hole = kinds[0].hole(5, size=32, seed=0)
    assert hole.shape == (32, 32)
    assert 0 < hole.mean() < 1


def test_banks_of_one_file_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    paths = [tmp_path / run / "masks" / "val.h5" for run in ("a", "b")]
    for seed, path in enumerate(paths):
        draw_bank(path, num_masks=6, size=32, style_weights={"boxes": 1.0}, seed=seed)
    kinds = open_kinds([*map(str, paths)], tmp_path, size=32)
    assert [kind.name for kind in kinds] == [f"{path}: boxes" for path in paths]
    assert [kind.source for kind in kinds] == [*map(str, paths)]


@pytest.mark.parametrize("names", [["strokes", "strokes"], ["a.h5", "boxes", "./a.h5"]])
def test_masks_named_twice_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UsageError, match="names the same masks twice"):
        open_kinds(names, tmp_path, size=32)
    assert not list(tmp_path.glob("*.h5"))


def test_masks_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--masks circles: neither a kind of masks"):
        open_kinds(["circles"], tmp_path, size=32)
    path = tmp_path / "small.h5"
    draw_bank(path, num_masks=6, size=16, style_weights={"boxes": 1.0})
    with pytest.raises(UsageError, match="16 pixels a side, fewer than --size 32"):
        open_kinds([str(path)], tmp_path, size=32)
    open_kinds(["strokes"], tmp_path, size=32)
    with pytest.raises(UsageError, match="another bank"):
        open_kinds(["strokes"], tmp_path, size=48)
