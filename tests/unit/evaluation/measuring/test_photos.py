"""Photos to measure on: of packs and of folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.evaluation.measuring.photos import Photos, open_photos
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.decode import ImageError, decode_square
from pconv_hpc.photos.sample_photos import sample_photos
from pconv_hpc.shards.shard_file import ShardReader
from tests.support.packed_crops import IMAGE_SIZE, write_pack


def open_all(
    path: Path,
    *,
    size: int | None,
    max_side: int = 4096,
    num_photos: int = 100,
    seed: int = 0,
) -> Photos:
    return open_photos(
        path, size=size, max_side=max_side, num_photos=num_photos, seed=seed, world=World({})
    )


def test_packed_photos_are_cut_at_the_centre(tmp_path: Path) -> None:
    index = write_pack(tmp_path, split="val", num_images=5, num_shards=2, seed=3)
    for path in (index, tmp_path):
        photos = open_all(path, size=32, num_photos=4)
        assert photos.num_photos == 4
        with ShardReader(index) as reader:
            stored = reader.images([2])[0]
            assert photos.key(2) == reader.key(2)
        start = (IMAGE_SIZE - 32) // 2
        inside = slice(start, start + 32)
        np.testing.assert_array_equal(photos.photo(2), stored[inside, inside])
        whole = open_all(path, size=None)
        assert whole.num_photos == 5
        np.testing.assert_array_equal(whole.photo(2), stored)
    with pytest.raises(UsageError, match="expected at least --size 64"):
        open_all(index, size=64)


def test_folders_are_scaled_and_in_an_order_by_the_seed(tmp_path: Path) -> None:
    for name, photo in sample_photos().items():
        Image.fromarray(photo[::4, ::4]).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "notes.txt").write_text("no photo either")
    photos = open_all(tmp_path, size=48)
    keys = [photos.key(index) for index in range(photos.num_photos)]
    assert sorted(keys) == sorted([*(f"{name}.png" for name in sample_photos()), "broken.jpg"])
    same, other = open_all(tmp_path, size=48), open_all(tmp_path, size=48, seed=1)
    assert [same.key(index) for index in range(len(keys))] == keys
    assert [other.key(index) for index in range(len(keys))] != keys
    place = keys.index("cat.png")
    np.testing.assert_array_equal(photos.photo(place), decode_square(tmp_path / "cat.png", 48))
    with pytest.raises(ImageError):
        photos.photo(keys.index("broken.jpg"))
    assert open_all(tmp_path, size=48, num_photos=3).num_photos == 3


def test_without_a_size_photos_are_as_they_are(tmp_path: Path) -> None:
    for name, shape in {"wide": (50, 90), "large": (240, 120), "tiny": (31, 200)}.items():
        photo = np.resize(sample_photos()["cat"], (*shape, 3))
        Image.fromarray(photo).save(tmp_path / f"{name}.png")
    photos = open_all(tmp_path, size=None, max_side=120)
    places = {photos.key(index): index for index in range(3)}
    np.testing.assert_array_equal(
        photos.photo(places["wide.png"]), np.asarray(Image.open(tmp_path / "wide.png"))
    )
    assert photos.photo(places["large.png"]).shape == (120, 60, 3)
    with pytest.raises(ImageError, match="120 x 19 pixels; expected at least 32 a side"):
        photos.photo(places["tiny.png"])


def test_nothing_to_measure_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no photos"):
        open_all(tmp_path, size=32)
    with pytest.raises(UsageError, match="no such folder"):
        open_all(tmp_path / "none", size=32)
