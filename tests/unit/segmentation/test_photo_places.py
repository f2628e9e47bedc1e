"""Which files of a folder are segmented, and where results go."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.photo_places import (
    PlacesList,
    find_photos,
    is_source,
    places,
)
from pconv_hpc.shards.packed_photos import PackedPhotos
from tests.support.random_packs import make_pack


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folder_gives_its_photos_sorted_without_hidden_ones_and_results(tmp_path: Path) -> None:
    _touch(tmp_path, "b.JPG", "a/z.png", "a/b.txt", ".hidden.jpg", ".git/x.png", "out/masks/b.png")
    folder, images = find_photos(tmp_path, tmp_path / "out")
    assert folder == tmp_path
    assert images == ["b.JPG", "a/z.png"]


def test_single_photo(tmp_path: Path) -> None:
    _touch(tmp_path, "b.jpg", "c.jpg")
    assert find_photos(tmp_path / "b.jpg", tmp_path / "out") == (tmp_path, ["b.jpg"])


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        find_photos(tmp_path / "none", tmp_path / "out")
    with pytest.raises(UsageError, match="no photos in it"):
        find_photos(tmp_path, tmp_path / "out")


def test_results_keep_the_relative_path_and_never_share_a_name() -> None:
    jpeg = places(Path("in"), "a/b.jpg", Path("out"))
    png = places(Path("in"), "a/b.png", Path("out"))
    assert jpeg.photo == Path("in/a/b.jpg")
    assert jpeg.instances == Path("out/instances/a/b.jpg.json")
    assert jpeg.mask == Path("out/masks/a/b.jpg.png")
    assert jpeg.overlay == Path("out/overlays/a/b.jpg.jpg")
    long = places(Path("in"), f"a/{'é' * 125}.jpg", Path("out"))
    assert {len(bytes(Path(path.name))) for path in (long.instances, long.mask)} <= {254, 255}
    assert not {jpeg.instances, jpeg.mask} & {png.instances, png.mask}


def test_places_in_a_pack_read_its_images(tmp_path: Path) -> None:
    pack = tmp_path / "packed"
    images = make_pack(pack, (2, 1))
    source = PackedPhotos(pack)
    listed = PlacesList(pack, source.keys, tmp_path / "out", source)
    assert [where.image for where in listed] == list(source.keys)
    assert listed[2].mask == tmp_path / "out/masks/klasse/ä2.png.png"
    assert listed[2].version() == source.version(2)
    np.testing.assert_array_equal(listed[2].read(max_pixels=100), images[2])


def test_packs_and_tar_files_are_told_from_photos(tmp_path: Path) -> None:
    make_pack(tmp_path / "packed", (1,))
    _touch(tmp_path, "photos.TAR", "a.jpg", "photos/index.json", "photos/b.jpg", "folder.tar/c.jpg")
    for name in ("packed", "packed/index.json", "photos.TAR"):
        assert is_source(tmp_path / name)
    for name in ("a.jpg", "photos", "folder.tar", "none.tar"):
        assert not is_source(tmp_path / name)
