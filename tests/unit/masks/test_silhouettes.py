"""Silhouettes: read from folders, dilated by disks, drawn where they may lie."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_shapes import Region
from pconv_hpc.masks.silhouette_file import write_silhouettes
from pconv_hpc.masks.silhouettes import Silhouettes, dilate, scale_to_fit
from tests.support.drawn_silhouettes import RECIPE, silhouette, write_drawn
from tests.support.mask_folders import draw_disk, draw_figure, make_mask_folder


def test_reads_all_pngs_of_a_folder_and_its_subfolders(tmp_path: Path) -> None:
    folder = make_mask_folder(tmp_path / "masks")
    (folder / "notes.txt").write_text("not a mask")
    assert len(Silhouettes.from_folder(folder, seed=0)) == 2


def test_fingerprint_follows_from_the_outlines(tmp_path: Path) -> None:
    folder = make_mask_folder(tmp_path / "masks")
    before = Silhouettes.from_folder(folder, seed=0).fingerprint()
    assert Silhouettes.from_folder(folder, seed=0).fingerprint() == before
    draw_disk(64).save(folder / "figure.png")
    assert Silhouettes.from_folder(folder, seed=0).fingerprint() != before


def test_unusable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Silhouettes.from_folder(tmp_path / "missing", seed=0)
    with pytest.raises(UsageError, match="holds no PNG"):
        Silhouettes.from_folder(tmp_path, seed=0)
    Image.new("L", (32, 32)).save(tmp_path / "black.png")
    with pytest.raises(UsageError, match="none of its 1 PNGs has an object"):
        Silhouettes.from_folder(tmp_path, seed=0)
    (tmp_path / "black.png").write_bytes(b"junk")
    with pytest.raises(UsageError, match=r"black\.png: not a PNG image"):
        Silhouettes.from_folder(tmp_path, seed=0)


def test_a_silhouette_file_gives_the_same_outlines_as_the_masks_in_it(tmp_path: Path) -> None:
    folder = make_mask_folder(tmp_path / "masks")
    file = write_drawn(tmp_path / "objects.h5")
    fingerprints = {
        Silhouettes.from_path(path, seed=seed).fingerprint()
        for path in (file, folder)
        for seed in range(8)
    }
    assert len(fingerprints) == 2  # two outlines, in either order
    with pytest.raises(UsageError, match="no such file or folder; expected a silhouette file"):
        Silhouettes.from_path(tmp_path / "missing", seed=0)
    (tmp_path / "mask.png").write_bytes((folder / "figure.png").read_bytes())
    with pytest.raises(UsageError, match=r"mask\.png: not a readable HDF5 file"):
        Silhouettes.from_path(tmp_path / "mask.png", seed=0)


def test_of_a_large_file_the_seed_chooses(tmp_path: Path) -> None:
    shapes = [np.ones((1 + n // 50, 1 + n % 50), np.bool_) for n in range(2000)]
    write_silhouettes(tmp_path / "many.h5", [silhouette(shape) for shape in shapes], RECIPE)
    first, second, again = (
        Silhouettes.from_path(tmp_path / "many.h5", seed=seed) for seed in (0, 1, 0)
    )
    assert len(first) == len(second) == 1024
    assert first.fingerprint() == again.fingerprint() != second.fingerprint()


def test_scaling_keeps_what_fits() -> None:
    shape = np.ones((40, 20), np.bool_)
    assert scale_to_fit(shape, 40) is shape
    assert scale_to_fit(shape, 10).shape == (10, 5)
    assert scale_to_fit(np.ones((900, 1), np.bool_), 300).shape == (300, 1)


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 9])
def test_dilation_equals_its_definition(radius: int) -> None:
    shape = np.random.default_rng(radius).random((13, 8)) < 0.05
    shape[0, 0] = True
    rows, columns = np.nonzero(shape)
    y, x = np.ogrid[-radius : 13 + radius, -radius : 8 + radius]
    distances = (y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2
    np.testing.assert_array_equal(dilate(shape, radius), (distances <= radius**2).any(axis=-1))


@pytest.mark.parametrize("margin", [0, 12])
@pytest.mark.parametrize("area", [4.0, 200.0, 3000.0, 20000.0])
def test_an_object_lies_in_its_region(margin: int, area: float, tmp_path: Path) -> None:
    silhouettes = Silhouettes.from_folder(make_mask_folder(tmp_path / "masks"), seed=0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        hole = silhouettes.draw(rng, Region.square(128, margin), area)
        assert hole.shape == (128, 128)
        assert hole.dtype == np.bool_
        inner = np.zeros_like(hole)
        inner[margin : 128 - margin, margin : 128 - margin] = True
        assert not (hole & ~inner).any()


def test_an_object_has_about_the_wanted_area_and_keeps_its_shape(tmp_path: Path) -> None:
    draw_figure().save(tmp_path / "figure.png")
    silhouettes = Silhouettes.from_folder(tmp_path, seed=0)
    rng = np.random.default_rng(1)
    holes = [silhouettes.draw(rng, Region.square(256, 25), 4000.0) for _ in range(20)]
    areas = [hole.sum() for hole in holes]
    assert np.mean(areas) == pytest.approx(4000, rel=0.25)
    assert len({hole.tobytes() for hole in holes}) == 20
    for hole in holes:
        rows = np.flatnonzero(hole.any(axis=1))
        columns = np.flatnonzero(hole.any(axis=0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert 1.3 < height / width < 2.6  # stands upright, as the figure does
