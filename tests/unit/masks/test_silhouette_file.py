"""Silhouette files: whole, the same in any order, and suspicious of files from outside."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.silhouette_file import (
    MAX_SIDE,
    Silhouette,
    SilhouetteFile,
    distinct,
    write_silhouettes,
)
from pconv_hpc.masks.silhouette_report import class_table, silhouette_tiles
from pconv_hpc.photos.contact_sheet import contact_sheet
from tests.support.drawn_silhouettes import (
    RECIPE,
    drawn_silhouettes,
    outline,
    silhouette,
    write_drawn,
)
from tests.support.mask_folders import draw_disk, draw_figure


def many(count: int) -> list[Silhouette]:
    """Return outlines of which each is there twice, in another photo."""
    rng = np.random.default_rng(0)
    shapes = [np.ones(rng.integers(2, 40, 2), np.bool_) for _ in range(count)]
    for shape in shapes:
        shape[rng.random(shape.shape) < 0.3] = False
        shape[0, 0] = True
    return [
        silhouette(shape, photo=f"{copy}/{number:03}.jpg")
        for copy in "ab"
        for number, shape in enumerate(shapes)
    ]


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    file = SilhouetteFile(write_drawn(tmp_path / "objects.h5"))
    file.verify()
    assert file.num_silhouettes == 2
    assert file.class_names == ("ball", "person")
    assert [file.class_names[index] for index in file.classes] == ["person", "ball"]
    np.testing.assert_array_equal(file.shape(0), outline(draw_figure()))
    np.testing.assert_array_equal(file.shape(1), outline(draw_disk()))
    assert [file.photo(0), file.photo(1)] == ["class/photo.jpg", "é/2.jpg"]
    np.testing.assert_array_equal(file.scores, [0.875, 0.75])
    np.testing.assert_array_equal(file.sizes[1], outline(draw_disk()).shape)
    np.testing.assert_array_equal(file.photo_sizes, [(480, 640)] * 2)
    np.testing.assert_array_equal(file.boxes[:, :2], [(10, 20)] * 2)
    assert file.recipe == RECIPE


def test_the_bytes_follow_from_the_content(tmp_path: Path) -> None:
    first, second = write_drawn(tmp_path / "a.h5"), write_drawn(tmp_path / "b.h5")
    assert first.read_bytes() == second.read_bytes()
    write_silhouettes(second, drawn_silhouettes()[:1], RECIPE)
    assert SilhouetteFile(first).fingerprint != SilhouetteFile(second).fingerprint


@pytest.mark.parametrize("max_objects", [7, 20, 100])
def test_distinct_outlines_do_not_depend_on_the_order_they_come_in(max_objects: int) -> None:
    silhouettes = many(30)
    found = distinct(silhouettes, max_objects)
    assert len(found) == len({one.digest for one in found}) == min(max_objects, 30)
    assert {one.photo[0] for one in found} == {"a"}  # of equal ones the first by name
    assert [one.place for one in found] == sorted(one.place for one in found)
    for seed in range(5):
        random.Random(seed).shuffle(silhouettes)
        assert distinct(silhouettes, max_objects) == found


def test_report_counts_classes_and_shows_them(tmp_path: Path) -> None:
    disk, figure = outline(draw_disk()), outline(draw_figure())
    bigger = [silhouette(np.pad(disk, n)[:, n:], class_name="ball") for n in range(1, 200)]
    write_silhouettes(tmp_path / "o.h5", [silhouette(figure), *bigger], RECIPE)
    file = SilhouetteFile(tmp_path / "o.h5")
    lines = class_table(file).splitlines()
    assert lines[1].split()[:2] == ["ball", "199"]
    assert lines[2].split()[:2] == ["person", "1"]
    tiles = silhouette_tiles(file)
    assert tiles.shape == (144, 96, 96, 3)
    assert tiles.any(axis=(1, 2, 3)).all()
    assert contact_sheet(tiles).size == (12 * 132 + 4,) * 2


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.h5: no such file"):
        SilhouetteFile(tmp_path / "no.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(UsageError, match="not a readable HDF5 file"):
        SilhouetteFile(tmp_path / "text.h5")
    with h5py.File(tmp_path / "bank.h5", "w") as file:
        file.attrs["format_version"] = 1
        file["bits"] = np.zeros((3, 16, 2), np.uint8)
    with pytest.raises(UsageError, match="not a silhouette file of format version 1"):
        SilhouetteFile(tmp_path / "bank.h5")


def replaced(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def external(file: h5py.File) -> None:
    del file["counts"]
    file["counts"] = h5py.ExternalLink("elsewhere.h5", "counts")


def external_storage(file: h5py.File) -> None:
    num = file["counts"].size
    del file["counts"]
    file.create_dataset("counts", (num,), np.uint32, external=[("/etc/hostname", 0, 4 * num)])


def never_written(file: h5py.File) -> None:
    """A file of a few kilobytes that claims 16 TB of run lengths."""
    del file["counts"]
    file.create_dataset("counts", (1 << 42,), np.uint32)


def bomb(file: h5py.File) -> None:
    del file["scores"]
    file.create_dataset("scores", (1 << 30,), np.float32, chunks=(1 << 20,), compression="gzip")


def set_attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


HOSTILE: list[tuple[Callable[[h5py.File], None], str]] = [
    (set_attribute("format_version", 2), "not a silhouette file of format version 1"),
    (set_attribute("recipe", "{"), "its recipe is not valid JSON"),
    (set_attribute("recipe", "[" * 100_000), "its recipe is not valid JSON|unable to"),
    (external, "'counts' is a link to elsewhere; refused"),
    (external_storage, "'counts' are in another file; refused"),
    (never_written, "'counts' is not stored in one piece"),
    (bomb, "'scores' is not stored in one piece"),
    (replaced("counts", np.zeros((3, 3), np.uint32)), r"'counts' is uint32 \(3, 3\)"),
    (replaced("counts", np.zeros(9)), "'counts' is float64"),
    (replaced("sizes", np.ones((3, 2), np.uint16)), r"'sizes' is uint16 \(3, 2\), expected"),
    (replaced("sizes", np.zeros((2, 2), np.uint16)), "outlines of 0 or of more than 512 pixels"),
    (replaced("sizes", np.full((2, 2), MAX_SIDE + 1, np.uint16)), "or of more than 512 pixels"),
    (replaced("sizes", np.ones((2, 2), np.uint16)), "more run lengths than pixels"),
    (replaced("ends", np.array([5, 2**62])), "'ends' does not fit 'counts'"),
    (replaced("ends", np.array([-(2**63), 2**63 - 1])), "'ends' does not fit 'counts'"),
    (replaced("ends", np.zeros((0,), np.int64)), "is not stored in one piece|0 silhouettes"),
    (replaced("classes", np.array([0, 2], np.uint16)), "classes without a name"),
    (replaced("class_names", np.zeros(2, np.int64)), "'class_names' is int64"),
    (replaced("photos", np.array([b"a"])), "expected 2 texts"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_files_are_refused(
    tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = write_drawn(tmp_path / "objects.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(UsageError, match=message):
        SilhouetteFile(path)


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = write_drawn(tmp_path / "objects.h5")
    with h5py.File(path, "a") as file:
        file["counts"][0] += 1
        file["counts"][-1] = 2**32 - 1
    file = SilhouetteFile(path)
    for index in (0, 1):
        with pytest.raises(UsageError, match=f"silhouette {index}: run lengths of"):
            file.shape(index)
    with pytest.raises(UsageError, match="its checksum does not match"):
        file.verify()
    whole = write_drawn(tmp_path / "whole.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut\.h5"):
        SilhouetteFile(tmp_path / "cut.h5")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = write_drawn(tmp_path / "objects.h5")
    shutil.copy(path, tmp_path / "before.h5")
    with pytest.raises(TypeError):
        write_silhouettes(path, drawn_silhouettes()[:1], {"recipe": object()})
    assert path.read_bytes() == (tmp_path / "before.h5").read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["before.h5", "objects.h5"]
