"""A pack that was stopped, damaged or is another one's, and packing that is started again."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import Interrupted, UsageError
from pconv_hpc.shards.checked_reader import CheckedReader
from pconv_hpc.shards.pack import PackResult
from pconv_hpc.shards.shard_file import ShardReader, map_shard
from tests.unit.shards.pack_calls import Call, files


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
