"""Packing in one process: what goes in, in which order, and where it cannot be written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation import disk_space
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.photos.decode import decode_square
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.shards import shard_packer
from pconv_hpc.shards.pack_plan import (
    seeded_order,
)
from pconv_hpc.shards.shard_file import ShardReader
from tests.unit.shards.pack_calls import SIZE, Call, keys_of


def test_every_photo_is_packed_once_in_seeded_order(call: Call) -> None:
    index = call(seed=5).index
    photos = FolderSource(call.photos).keys
    expected = [photos[photo] for photo in seeded_order(18, 5)]
    assert keys_of(call.out) == expected
    assert sorted(expected) == photos
    assert expected != photos
    assert [shard.num_images for shard in index.shards] == [4, 4, 4, 4, 2]
    assert index.shards[0].file == "train-00000-of-00005.h5"
    with ShardReader(call.out) as reader:
        packed = reader.images(np.arange(18))
        assert reader.verify() == []
    for image, key in zip(packed, expected, strict=True):
        np.testing.assert_array_equal(image, decode_square(call.photos / key, SIZE))
    assert (call.out / "rejected.csv").read_text() == "key,reason\n"


def test_shards_describe_themselves(call: Call) -> None:
    index = call(seed=5, fraction=0.5).index
    attributes = shard_packer.shard_attributes(call.out / "train-00001-of-00003.h5")
    command = (
        "pack.py photos OUT --split train --size 16 --fraction 0.5 --images-per-shard 4 --seed 5"
    )
    assert attributes == {
        "format_version": 1,
        "split": "train",
        "image_size": SIZE,
        "seed": 5,
        "shard": 1,
        "num_shards": 3,
        "source_fingerprint": FolderSource(call.photos).fingerprint,
        "command": command,
    }
    assert index.command == command


def test_fractions_are_nested(call: Call, tmp_path: Path) -> None:
    packs = {}
    for fraction in (0.01, 0.25, 0.5, 1.0):
        out = tmp_path / str(fraction)
        Call(call.photos, out)(fraction=fraction)
        packs[fraction] = keys_of(out)
    assert [len(keys) for keys in packs.values()] == [1, 5, 9, 18]
    for keys in packs.values():
        assert keys == packs[1.0][: len(keys)]


def test_another_seed_is_another_order(call: Call, tmp_path: Path) -> None:
    call(seed=0)
    Call(call.photos, tmp_path / "other")(seed=1)
    assert sorted(keys_of(call.out)) == sorted(keys_of(tmp_path / "other"))
    assert keys_of(call.out) != keys_of(tmp_path / "other")


def test_a_full_disk_is_noticed_before_starting(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(call.photos)._replace(free=18 * SIZE * SIZE * 3)
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PconvError, match=r"0\.0 GB are needed"):
        call()


def test_a_disk_that_fills_up_is_a_clear_error(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_packer, "write_shard", full)
    with pytest.raises(PconvError, match=r"train-00000-of-00005\.h5: cannot be written \(No space"):
        call()


def test_a_place_that_is_no_folder(call: Call) -> None:
    call.out.write_text("a file")
    with pytest.raises(PconvError, match="cannot be written"):
        call()


def test_nothing_to_pack_says_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "readme.txt").write_text("x")
    with pytest.raises(UsageError, match="not named like an image: 1"):
        Call(tmp_path / "photos", tmp_path / "out")()


def test_the_plan_file_says_what_it_is(call: Call) -> None:
    call()
    assert json.loads((call.out / "pack.json").read_text())["images_per_shard"] == 4
