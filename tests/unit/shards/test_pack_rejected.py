"""Photos that cannot be packed: listed, left out, and never the others' loss."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.shards import shard_packer
from pconv_hpc.shards.pack_plan import (
    seeded_order,
)
from pconv_hpc.shards.shard_file import ShardReader, map_shard, read_rejected
from tests.unit.shards.pack_calls import SIZE, Call, keys_of


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
