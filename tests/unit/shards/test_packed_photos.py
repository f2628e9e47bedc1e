"""Photos of packs, folders and tar files, looked at in the same way."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.shards.packed_photos import PackedPhotos, open_photos
from tests.support.random_packs import make_images, make_pack
from tests.support.tar_members import write_tar

ALONE = World({})


def open_alone(path: Path) -> Photos:
    return open_photos(path, path.parent, ALONE, save_index=False)


@pytest.mark.parametrize("name", ["", "index.json"])
def test_a_pack_has_names_images_and_their_checksums(tmp_path: Path, name: str) -> None:
    images = make_pack(tmp_path, (2, 3))
    photos = open_alone(tmp_path / name)
    assert isinstance(photos, PackedPhotos)
    assert list(photos.keys) == [f"klasse/ä{index}.png" for index in range(5)]
    for index in range(5):
        np.testing.assert_array_equal(photos.image(index), images[index])
    assert len({photos.version(index) for index in range(5)}) == 5
    with pytest.raises(IndexError):
        photos.keys[5]


def test_a_folder_and_a_tar_file_show_the_same_photos(tmp_path: Path) -> None:
    (image,) = make_images(1)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(stream.getvalue())
    (tmp_path / "photos" / "index.json").write_text("[]")  # somebody's own
    write_tar(tmp_path / "photos.tar", [("a.png", stream.getvalue())])
    folder, tar = open_alone(tmp_path / "photos"), open_alone(tmp_path / "photos.tar")
    for photos in (folder, tar):
        assert list(photos.keys) == ["a.png"]
        assert photos.version(0) == len(stream.getvalue())
        np.testing.assert_array_equal(photos.image(0), image)
        with pytest.raises(ImageError, match="more than 63 pixels"):
            photos.image(0, max_pixels=63)
    assert folder.fingerprint == tar.fingerprint


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no photos"):
        open_alone(tmp_path)
    with pytest.raises(UsageError, match="no such folder or file"):
        open_alone(tmp_path / "none")
    make_pack(tmp_path, (2,))
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(UsageError, match="it lacks split"):
        open_alone(tmp_path)


def test_a_name_that_leads_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    make_pack(tmp_path, (2,), class_name="../..")
    with pytest.raises(UsageError, match=r"train-0\.h5: image 1 is called '\.\./\.\./ä1.png'"):
        open_alone(tmp_path).keys[1]
