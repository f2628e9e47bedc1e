"""Shards and their index: written deterministically, read by memory map, refused when damaged."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.shards import shard_file
from pconv_hpc.shards.shard_file import (
    ShardReader,
    damaged_images,
    map_shard,
    read_rejected,
    write_shard,
)
from pconv_hpc.shards.shard_index import read_index
from tests.support.random_packs import SIZE, make_images, make_pack


def edit_index(folder: Path, **changes: object) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_reads_any_images_in_the_order_asked(tmp_path: Path) -> None:
    images = make_pack(tmp_path)
    with ShardReader(tmp_path / "index.json") as reader:
        assert (reader.num_images, reader.image_size, reader.split) == (8, SIZE, "train")
        for indices in ([7, 0, 5, 4, 0], [3], [], list(range(8))):
            found = reader.images(np.array(indices, dtype=np.int64))
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, images[indices])
        assert reader.key(0) == "klasse/ä0.png"
        assert reader.key(5) == "klasse/ä5.png"
        assert reader.verify() == []


@pytest.mark.parametrize("index", [-1, 8])
def test_an_index_out_of_range_is_an_error(tmp_path: Path, index: int) -> None:
    make_pack(tmp_path)
    with ShardReader(tmp_path) as reader:
        with pytest.raises(IndexError):
            reader.images([0, index])
        with pytest.raises(IndexError):
            reader.key(index)


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    make_pack(tmp_path)
    reader = ShardReader(tmp_path)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.images([0])


def test_few_shards_stay_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_file, "_MAX_MAPPED_SHARDS", 2)
    images = make_pack(tmp_path, (1,) * 6)
    with ShardReader(tmp_path) as reader:
        order = [5, 0, 3, 1, 4, 2, 5, 0]
        np.testing.assert_array_equal(reader.images(order), images[order])
        np.testing.assert_array_equal(reader.images(order[::-1]), images[order[::-1]])
        assert len(reader._mapped) <= 2


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "s.h5", tmp_path / "b" / "s.h5"
    entries = [
        write_shard(
            path,
            make_images(4),
            ["a", "bb", "c", "d"],
            attributes={"split": "train", "seed": 3},
            rejected=[("bad.png", "empty file")],
        )
        for path in (first, second)
    ]
    assert entries[0] == entries[1]
    assert first.read_bytes() == second.read_bytes()
    assert read_rejected(first) == [("bad.png", "empty file")]
    assert sorted(path.name for path in first.parent.iterdir()) == ["s.h5"]


def test_verify_names_the_damaged_image(tmp_path: Path) -> None:
    make_pack(tmp_path)
    path = tmp_path / "train-2.h5"
    with h5py.File(path, "r") as file:
        offset = file["images"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset + SIZE * SIZE * 3 + 1] ^= 1  # the second of its images
    path.write_bytes(data)
    assert damaged_images(path) == ["klasse/ä6.png"]
    with ShardReader(tmp_path) as reader:
        findings = reader.verify()
    assert len(findings) == 2
    assert "SHA-256" in findings[0]
    assert "train-2.h5" in findings[1]
    assert "klasse/ä6.png" in findings[1]


def test_verify_finds_damage_outside_the_images(tmp_path: Path) -> None:
    make_pack(tmp_path)
    path = tmp_path / "train-0.h5"
    with h5py.File(path, "r+") as file:
        file.attrs["seed"] = np.int64(77)
    with ShardReader(tmp_path) as reader:
        assert any("train-0.h5" in f and "SHA-256" in f for f in reader.verify())


def test_verify_goes_on_behind_a_shard_of_damaged_structure(tmp_path: Path) -> None:
    make_pack(tmp_path)
    for number in (0, 2):
        path = tmp_path / f"train-{number}.h5"
        data = bytearray(path.read_bytes())
        data[data.index(b"SNOD")] ^= 1
        path.write_bytes(data)
    with ShardReader(tmp_path) as reader:
        findings = reader.verify()
    named = [re.search(r"train-\d", finding)[0] for finding in findings]
    assert named == ["train-0", "train-0", "train-2", "train-2"]
    assert ["SHA-256" in finding for finding in findings] == [True, False] * 2


def test_a_truncated_or_missing_shard_is_named(tmp_path: Path) -> None:
    make_pack(tmp_path)
    path = tmp_path / "train-0.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(UsageError, match=r"train-0\.h5.*truncated"):
        ShardReader(tmp_path)
    path.unlink()
    with pytest.raises(UsageError, match=r"train-0\.h5.*No such file"):
        ShardReader(tmp_path)


def write_h5(path: Path, images: object, keys: object = None, **options: object) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["format_version"] = 1
        if images is not None:
            file.create_dataset("images", data=images, **options)
        file["keys"] = np.array([b"k"] * 4) if keys is None else keys
        file["crc32"] = np.zeros(len(file["keys"]), np.uint32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": None}, "no dataset 'images'"),
        ({"images": np.zeros((4, SIZE, SIZE, 3), np.float32)}, "float32"),
        ({"images": np.zeros((4, SIZE, SIZE), np.uint8)}, "of shape"),
        ({"images": np.zeros((4, SIZE + 1, SIZE, 3), np.uint8)}, "of shape"),
        ({"images": make_images(4), "keys": np.array([b"k"])}, "'keys'"),
        ({"images": make_images(4), "keys": np.zeros(4)}, "'keys'"),
        ({"images": make_images(4), "chunks": True}, "'images' is not stored in one piece"),
        ({"images": make_images(3), "keys": np.array([b"k"] * 3)}, "holds 3 images"),
    ],
)
def test_a_shard_of_another_shape_is_refused(tmp_path: Path, content: dict, message: str) -> None:
    make_pack(tmp_path, (4,))
    write_h5(tmp_path / "train-0.h5", **content)
    shard = json.loads((tmp_path / "index.json").read_text())["shards"][0]
    shard["bytes"] = (tmp_path / "train-0.h5").stat().st_size
    edit_index(tmp_path, shards=[shard])
    with ShardReader(tmp_path) as reader:
        with pytest.raises(UsageError, match=message) as raised:
            reader.images([0])
        assert "train-0.h5" in str(raised.value)


@pytest.mark.parametrize("name", ["keys", "crc32", "rejected_keys", "rejected_reasons"])
def test_a_column_that_could_unfold_to_any_size_is_refused(tmp_path: Path, name: str) -> None:
    make_pack(tmp_path, (4,))
    path = tmp_path / "train-0.h5"
    with h5py.File(path, "r+") as file:
        column = file[name][()]
        del file[name]
        file.create_dataset(name, data=column, chunks=(4,), maxshape=(None,), compression="gzip")
    with pytest.raises(UsageError, match=rf"train-0\.h5: '{name}' is not stored in one piece"):
        read_rejected(path) if name.startswith("rejected") else map_shard(path)


@pytest.mark.parametrize("column", [np.zeros(2), np.array([[b"a"]]), np.array([b"a", b"b"])])
def test_rejected_photos_that_are_no_list_of_texts_are_refused(
    tmp_path: Path, column: np.ndarray
) -> None:
    make_pack(tmp_path, (4,))
    path = tmp_path / "train-0.h5"
    with h5py.File(path, "r+") as file:
        del file["rejected_keys"]
        file["rejected_keys"] = column
    with pytest.raises(UsageError, match=r"train-0\.h5: 'rejected_keys' and 'rejected_reasons'"):
        read_rejected(path)


def test_no_hdf5_at_all_is_refused(tmp_path: Path) -> None:
    make_pack(tmp_path, (4,))
    path = tmp_path / "train-0.h5"
    path.write_bytes(b"x" * path.stat().st_size)
    with ShardReader(tmp_path) as reader, pytest.raises(UsageError, match=r"train-0\.h5.*HDF5"):
        reader.images([0])


def test_shards_that_were_swapped_are_refused(tmp_path: Path) -> None:
    make_pack(tmp_path, (4, 4))
    for number, shard in enumerate(["train-0.h5", "train-1.h5"]):
        with h5py.File(tmp_path / shard, "r+") as file:
            file.attrs["shard"] = number
    sizes = [(tmp_path / f"train-{n}.h5").stat().st_size for n in range(2)]
    entries = json.loads((tmp_path / "index.json").read_text())["shards"]
    edit_index(tmp_path, shards=[e | {"bytes": n} for e, n in zip(entries, sizes, strict=True)])
    with ShardReader(tmp_path) as reader:
        assert len(reader.images([0, 4])) == 2
    (tmp_path / "train-1.h5").write_bytes((tmp_path / "train-0.h5").read_bytes())
    with ShardReader(tmp_path) as reader:
        reader.images([0])
        with pytest.raises(UsageError, match=r"train-1\.h5: its shard is 0, but .* says 1"):
            reader.images([4])


@pytest.mark.parametrize("name", ["../train-0.h5", "/etc/passwd", "sub/x.h5", "..", "", "a\\b"])
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    make_pack(tmp_path, (4,))
    shard = json.loads((tmp_path / "index.json").read_text())["shards"][0]
    edit_index(tmp_path, shards=[shard | {"file": name}])
    with pytest.raises(UsageError, match=r"index\.json: .*expected a plain name"):
        read_index(tmp_path / "index.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_images": 9}, "add up to 8"),
        ({"num_images": True}, "num_images is True; expected a whole number"),
        ({"format_version": 2}, "format_version is 2; this program reads 1, .*pack again"),
        ({"split": None}, "split is None; expected text"),
        ({"image_size": 10**9}, "image_size is"),
        ({"fraction": "all"}, "fraction is"),
        ({"shards": {}}, "shards is"),
        ({"shards": [5]}, r"shards\[0\] is 5; expected keys and values"),
        ({"shards": [{}]}, r"shards\[0\] lacks file, num_images, sha256, bytes"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"photos": 8}, "has no key 'photos'; valid keys: format_version, split"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    make_pack(tmp_path)
    edit_index(tmp_path, **changes)
    with pytest.raises(UsageError, match=message) as raised:
        read_index(tmp_path / "index.json")
    assert "index.json" in str(raised.value)


def test_a_shard_named_twice_is_refused(tmp_path: Path) -> None:
    make_pack(tmp_path, (4,))
    shard = json.loads((tmp_path / "index.json").read_text())["shards"][0]
    edit_index(tmp_path, shards=[shard, shard], num_images=8)
    with pytest.raises(UsageError, match="twice"):
        read_index(tmp_path / "index.json")


@pytest.mark.parametrize("content", ["", "[", "[]", "[" * 100_000, "\udcff"])
def test_no_json_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"index\.json"):
        read_index(path)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"index\.json: cannot be read .*pconv-hpc pack"):
        ShardReader(tmp_path)
