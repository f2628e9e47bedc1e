"""What the kinds of work take for finished, and what they leave alone."""

import os
from pathlib import Path

import pytest

from pconv_hpc.foundation import atomic
from pconv_hpc.jobs.requeue.work import EvaluateWork, PackWork
from tests.support.random_packs import make_pack


def packing(folder: Path) -> PackWork:
    return PackWork(Path("photos"), folder, "train", [])


def test_a_pack_is_finished_with_its_index_and_all_shards(tmp_path: Path) -> None:
    assert not packing(tmp_path).is_finished()
    make_pack(tmp_path)
    assert packing(tmp_path).is_finished()


@pytest.mark.parametrize("left", [None, 100])
def test_a_pack_whose_index_names_a_missing_or_shorter_shard_is_not_finished(
    tmp_path: Path, left: int | None
) -> None:
    make_pack(tmp_path)
    path = tmp_path / "train-2.h5"
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left)
    assert not packing(tmp_path).is_finished()


def test_earlier_results_are_kept_and_not_taken_for_those_of_this_start(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text("{}")
    work = EvaluateWork(Path("index.json"), tmp_path, ["--weights", "a typo"])
    work.begin()
    assert results.read_text() == "{}"
    assert (work.is_finished(), work.progress()) == (False, 0)
    atomic.write_bytes(results, b"{}")
    assert (work.is_finished(), work.progress()) == (True, 1)


def test_an_evaluation_without_results_is_not_finished(tmp_path: Path) -> None:
    work = EvaluateWork(Path("index.json"), tmp_path, [])
    assert not work.is_finished()
    work.begin()
    assert not work.is_finished()
