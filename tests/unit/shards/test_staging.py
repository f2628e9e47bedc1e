"""Copies of a pack on a node's own disk: whole ones are used, others are not."""

from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.errors import Interrupted, PconvError
from pconv_hpc.shards import staging
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.staging import STAGE_VARIABLE, stage_pack, staged_index
from tests.support.packed_crops import write_pack


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return write_pack(tmp_path / "pack", split="train", num_images=6, num_shards=3, seed=1)


def test_a_whole_copy_is_read_instead(index: Path, tmp_path: Path) -> None:
    environment = {STAGE_VARIABLE: str(tmp_path / "node")}
    assert staged_index(index, environment) == index

    copy = stage_pack(index, tmp_path / "node")

    assert copy == staged_index(index, environment) == staged_index(index.parent, environment)
    assert copy != index
    with ShardReader(index) as original, ShardReader(copy) as copied:
        copied.verify()
        np.testing.assert_array_equal(copied.images(np.arange(6)), original.images(np.arange(6)))
    assert stage_pack(index, tmp_path / "node") == copy
    assert staged_index(index, {}) == index


def test_another_pack_at_the_same_path_is_not_mistaken_for_it(index: Path, tmp_path: Path) -> None:
    stage_pack(index, tmp_path / "node")
    other = write_pack(index.parent, split="train", num_images=4, num_shards=1, seed=2)
    assert staged_index(other, {STAGE_VARIABLE: str(tmp_path / "node")}) == other


def test_an_interrupted_copy_is_not_used_and_continues(index: Path, tmp_path: Path) -> None:
    answers = iter([False, True])
    with pytest.raises(Interrupted):
        stage_pack(index, tmp_path / "node", should_stop=lambda: next(answers))
    assert len(list((tmp_path / "node").glob("*/*.h5"))) == 1
    assert staged_index(index, {STAGE_VARIABLE: str(tmp_path / "node")}) == index

    assert stage_pack(index, tmp_path / "node") is not None


def test_a_damaged_shard_that_was_deleted_is_copied_again(index: Path, tmp_path: Path) -> None:
    copy = stage_pack(index, tmp_path / "node")
    assert copy is not None
    deleted = copy.with_name("train_1.h5")
    deleted.unlink()
    with pytest.raises(Interrupted):
        stage_pack(index, tmp_path / "node", should_stop=lambda: True)
    assert not copy.exists(), "half a copy is read by nobody"
    assert stage_pack(index, tmp_path / "node") == copy
    assert deleted.read_bytes() == index.with_name("train_1.h5").read_bytes()


def test_what_does_not_fit_is_read_in_place(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "_SPARE_SHARE", 1.0)  # all of the disk is for others
    assert stage_pack(index, tmp_path / "node") is None
    assert staged_index(index, {STAGE_VARIABLE: str(tmp_path / "node")}) == index


def test_a_shard_of_another_size_is_named(index: Path, tmp_path: Path) -> None:
    with open(index.parent / "train_1.h5", "ab") as stream:
        stream.write(b"more")
    with pytest.raises(PconvError, match=r"train_1\.h5: \d+ bytes, but its index says \d+"):
        stage_pack(index, tmp_path / "node")
    assert not list((tmp_path / "node").glob("*/index.json"))
