"""Images that are checked when first read: which are damaged, and what is used in their place."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.shards.checked_reader import CheckedReader
from pconv_hpc.shards.shard_file import ShardReader
from tests.support.random_packs import make_pack


def damage(folder: Path, image: np.ndarray) -> None:
    """Change one bit of an image, wherever in a pack it lies."""
    for path in folder.glob("*.h5"):
        data = bytearray(path.read_bytes())
        if (at := data.find(image.tobytes())) >= 0:
            data[at + 5] ^= 8
            path.write_bytes(data)
            return
    raise AssertionError("no shard holds this image")


def test_undamaged_images_are_what_the_reader_gives(tmp_path: Path) -> None:
    images = make_pack(tmp_path)
    with ShardReader(tmp_path) as reader:
        checked = CheckedReader(reader)
        assert (checked.num_images, checked.image_size) == (8, reader.image_size)
        for _ in range(2):
            np.testing.assert_array_equal(checked.image_views([7, 0, 7, 3]), images[[7, 0, 7, 3]])


def test_stop_names_the_shard_and_the_photo(tmp_path: Path) -> None:
    images = make_pack(tmp_path)
    damage(tmp_path, images[6])
    with ShardReader(tmp_path) as reader:
        checked = CheckedReader(reader)
        checked.image_views([5, 7])
        with pytest.raises(UsageError, match=r"train-2\.h5: image 'klasse/ä6\.png' is damaged"):
            checked.image_views([5, 6])


def test_skip_puts_the_next_undamaged_image_in_its_place_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = make_pack(tmp_path)
    for index in (2, 6, 7):
        damage(tmp_path, images[index])
    with ShardReader(tmp_path) as reader:
        checked = CheckedReader(reader, on_damage="skip")
        for _ in range(2):
            np.testing.assert_array_equal(
                checked.image_views(np.arange(8)), images[[0, 1, 3, 3, 4, 5, 0, 0]]
            )
    assert len(caplog.records) == 3
    assert "'klasse/ä6.png' is damaged; 'klasse/ä0.png' is used in its place" in caplog.text


def test_a_pack_without_an_undamaged_image_cannot_be_read(tmp_path: Path) -> None:
    for image in make_pack(tmp_path, (2,)):
        damage(tmp_path, image)
    with (
        ShardReader(tmp_path) as reader,
        pytest.raises(UsageError, match="every image of this pack is damaged"),
    ):
        CheckedReader(reader, on_damage="skip").image_views([0])
