"""Packing in one process: what goes in, in which order, and what happens when it goes wrong."""

import csv
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pconv_hpc.foundation import disk_space
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.decode import decode_square
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.shards import shard_packer
from pconv_hpc.shards.checked_reader import CheckedReader
from pconv_hpc.shards.pack import PackResult, pack
from pconv_hpc.shards.pack_plan import (
    PackOptions,
    default_images_per_shard,
    plan_pack,
    seeded_order,
)
from pconv_hpc.shards.shard_file import ShardReader, map_shard, read_rejected
from tests.support.photo_folders import write_photos

ALONE = World({})
SIZE = 16


class Call(NamedTuple):
    """Packs ``photos`` into ``out``."""

    photos: Path
    out: Path

    def __call__(
        self, *, max_rejected: float = 0.01, stop_after: int = 10**9, **options
    ) -> PackResult:
        source = FolderSource(self.photos)
        chosen = {"split": "train", "image_size": SIZE, "images_per_shard": 4} | options
        plan = plan_pack(source, PackOptions(**chosen), source_path=self.photos)
        countdown = iter(range(stop_after))
        return pack(
            source,
            plan,
            self.out,
            max_rejected=max_rejected,
            world=ALONE,
            should_stop=lambda: next(countdown, None) is None,
        )


@pytest.fixture
def call(tmp_path: Path) -> Call:
    write_photos(tmp_path / "photos", 18)
    return Call(tmp_path / "photos", tmp_path / "out")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def keys_of(folder: Path) -> list[str]:
    with ShardReader(folder) as reader:
        return [reader.key(index) for index in range(reader.num_images)]


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


def test_the_order_never_changes() -> None:
    assert seeded_order(10, 0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 11, 17])
def test_interrupted_and_continued_equals_uninterrupted(
    call: Call, tmp_path: Path, stop_after: int
) -> None:
    Call(call.photos, tmp_path / "reference")()
    with pytest.raises(Interrupted) as raised:
        call(stop_after=stop_after)
    assert raised.value.exit_code == 75
    finished = stop_after // 4
    assert len(list(call.out.glob("*.h5"))) == finished
    assert not (call.out / "index.json").exists()
    assert call().num_kept == finished
    assert files(call.out) == files(tmp_path / "reference")


def test_a_complete_pack_is_left_alone(call: Call) -> None:
    first = call()
    times = {path: path.stat().st_mtime_ns for path in call.out.iterdir()}
    assert call() == PackResult(first.index, num_kept=5)
    assert {path: path.stat().st_mtime_ns for path in call.out.iterdir()} == times


@pytest.mark.parametrize(
    "damage", ["deleted", "image", "truncated", "attribute", "key", "structure", "other"]
)
def test_a_damaged_shard_is_packed_again(
    call: Call, damage: str, capfd: pytest.CaptureFixture
) -> None:
    call()
    reference = files(call.out)
    path = call.out / "train-00002-of-00005.h5"
    data = bytearray(path.read_bytes())
    with ShardReader(call.out) as reader:
        key = reader.key(8).encode()
    if damage == "image":
        data[data.index(map_shard(path).images.tobytes()) + 100] ^= 0xFF
    elif damage == "truncated":
        del data[-200:]
    elif damage == "attribute":
        at = data.index(b"--seed 0")
        data[at + 7] = ord("1")
    elif damage == "key":
        data[data.index(key)] ^= 1
    elif damage == "structure":
        data[data.index(b"HEAP")] ^= 1
    elif damage == "other":
        data[:] = b"something else"
    path.write_bytes(data)
    if damage == "deleted":
        path.unlink()
    else:
        (call.out / "index.json").unlink()  # or sizes alone would have to tell
    assert call().num_kept == 4
    assert files(call.out) == reference
    assert ("packing this shard again" in capfd.readouterr().err) == (damage != "deleted")


def test_what_training_says_of_a_changed_bit_mends_a_complete_pack(call: Call) -> None:
    call()
    reference = files(call.out)
    path = call.out / "train-00002-of-00005.h5"
    data = bytearray(path.read_bytes())
    data[data.index(map_shard(path).images.tobytes()) + 100] ^= 1
    path.write_bytes(data)
    with (
        ShardReader(call.out) as reader,
        pytest.raises(
            UsageError, match=rf"{path.name}.*Delete the shard named here and run pconv-hpc pack"
        ),
    ):
        CheckedReader(reader).image_views(np.arange(18))
    path.unlink()
    assert call().num_kept == 4
    assert files(call.out) == reference


def test_damage_that_only_a_checksum_shows(call: Call) -> None:
    call()
    reference = files(call.out)
    path = call.out / "train-00002-of-00005.h5"
    path.write_bytes(path.read_bytes() + b"\0")
    assert call().num_kept == 4
    assert files(call.out) == reference


def test_leftovers_of_a_killed_pack_go(call: Call) -> None:
    with pytest.raises(Interrupted):
        call(stop_after=5)
    leftover = call.out / ".train-00001-of-00005.h5.node.123.tmp"
    leftover.write_bytes(b"half")
    call()
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"split": "val"}, "split"),
        ({"image_size": 20}, "image_size"),
        ({"fraction": 0.5}, "fraction"),
        ({"seed": 1}, "seed"),
        ({"images_per_shard": 5}, "images_per_shard"),
    ],
)
def test_another_pack_is_never_mixed_in(call: Call, options: dict, name: str) -> None:
    call()
    reference = files(call.out)
    with pytest.raises(UsageError, match=f"holds another pack, whose {name} is"):
        call(**options)
    assert files(call.out) == reference


def test_a_source_that_changed_is_noticed(call: Call) -> None:
    with pytest.raises(Interrupted):
        call(stop_after=5)
    (call.photos / "n00000000" / "n00000000_0.JPEG").unlink()
    with pytest.raises(UsageError, match="source_fingerprint"):
        call()


def test_shards_without_a_plan_are_not_touched(call: Call) -> None:
    call()
    (call.out / "pack.json").unlink()
    with pytest.raises(UsageError, match=r"no pack\.json"):
        call()


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff"])
def test_a_damaged_plan_is_refused(call: Call, text: str) -> None:
    call()
    (call.out / "pack.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="choose another folder"):
        call()


def spoil(call: Call, *numbers: int) -> list[str]:
    """Make photos unreadable in three ways; return their keys."""
    keys = [f"n{number % 3:08d}/n{number % 3:08d}_{number}.JPEG" for number in numbers]
    for kind, key in enumerate(keys):
        path = call.photos / key
        path.write_bytes([b"", b"no image", path.read_bytes()[:300]][kind % 3])
    return keys


def test_unreadable_photos_are_listed_with_their_reason(call: Call) -> None:
    bad = spoil(call, 3, 7, 11)
    index = call(max_rejected=0.2).index
    assert (index.num_images, index.num_rejected) == (15, 3)
    assert sum(shard.num_images for shard in index.shards) == 15
    with open(call.out / "rejected.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["key"] for row in rows} == set(bad)
    reasons = {row["key"]: row["reason"] for row in rows}
    assert reasons[bad[0]] == "empty file"
    assert reasons[bad[1]] == "not an image in a supported format"
    assert "truncated" in reasons[bad[2]].lower()
    assert sorted(keys_of(call.out) + bad) == FolderSource(call.photos).keys
    in_shards = [row for path in call.out.glob("*.h5") for row in read_rejected(path)]
    assert dict(in_shards) == reasons


def test_a_rejected_photo_moves_no_other(call: Call, tmp_path: Path) -> None:
    call()
    bad = spoil(call, 3, 7)
    Call(call.photos, tmp_path / "spoilt")(max_rejected=1)
    for number in range(5):
        name = f"train-{number:05d}-of-00005.h5"
        whole, spoilt = (
            [key.decode() for key in map_shard(folder / name).keys]
            for folder in (call.out, tmp_path / "spoilt")
        )
        assert spoilt == [key for key in whole if key not in bad]


def test_too_many_unreadable_photos_fail_the_pack_but_keep_the_work(call: Call) -> None:
    bad = spoil(call, 3, 7, 11)
    with pytest.raises(
        PconvError, match=r"3 of 18 photos could not be read.*rejected\.csv"
    ) as raised:
        call(max_rejected=2 / 18)
    assert raised.value.exit_code == 1
    assert not (call.out / "index.json").exists()
    assert all(key in (call.out / "rejected.csv").read_text() for key in bad)
    result = call(max_rejected=3 / 18)
    assert (result.num_kept, result.index.num_rejected) == (5, 3)


def test_a_hopeless_pack_ends_early(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_packer, "_PATIENCE", 2)
    spoil(call, *range(18))
    with pytest.raises(PconvError, match="3 photos could not be read, far more"):
        call(max_rejected=0)


def test_a_pack_of_nothing_fails(call: Call) -> None:
    spoil(call, *range(18))
    with pytest.raises(PconvError, match="18 of 18"):
        call(max_rejected=1)
    assert not (call.out / "index.json").exists()


def test_a_shard_whose_photos_are_all_unreadable_is_empty(call: Call) -> None:
    photos = FolderSource(call.photos).keys
    for photo in seeded_order(18, 0)[4:8]:
        (call.photos / photos[photo]).write_bytes(b"")
    index = call(max_rejected=0.3).index
    assert [shard.num_images for shard in index.shards] == [4, 0, 4, 4, 2]
    with ShardReader(call.out) as reader:
        assert reader.images(np.arange(14)).shape == (14, SIZE, SIZE, 3)
        assert reader.verify() == []


def test_a_huge_file_is_rejected_unread(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    path = call.photos / "n00000000" / "n00000000_0.JPEG"
    monkeypatch.setattr(shard_packer, "_MAX_ENCODED_BYTES", path.stat().st_size - 1)
    with pytest.raises(PconvError, match="could not be read"):
        call()
    assert "bytes; at most" in (call.out / "rejected.csv").read_text()


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
    with pytest.raises(UsageError, match="1 not named like an image"):
        Call(tmp_path / "photos", tmp_path / "out")()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "--split"),
        ({"image_size": 7}, "--size"),
        ({"image_size": 5000}, "--size"),
        ({"fraction": 0.0}, "--fraction"),
        ({"fraction": 10.0}, "--fraction"),
        ({"fraction": float("nan")}, "--fraction"),
        ({"images_per_shard": 0}, "--images-per-shard"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PackOptions(**({"split": "train"} | options))


@pytest.mark.parametrize(
    ("num_photos", "size", "expected"),
    [
        (1_281_167, 320, 3488),
        (128_117, 320, 3488),
        (1_900, 160, 128),
        (7, 64, 32),
        (10**6, 4096, 32),
    ],
)
def test_default_images_per_shard(num_photos: int, size: int, expected: int) -> None:
    assert default_images_per_shard(num_photos, size) == expected


def test_the_plan_file_says_what_it_is(call: Call) -> None:
    call()
    assert json.loads((call.out / "pack.json").read_text())["images_per_shard"] == 4
