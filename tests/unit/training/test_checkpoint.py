"""The checkpoint store: whole or not there, verified when read, pruned, errors handed on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.config import RunConfig, config_to_mapping
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.training.checkpoint import CheckpointStore, read_checkpoint
from pconv_hpc.training.checkpoint_files import list_checkpoints, verify

DESCRIPTION: dict[str, Any] = {"config": config_to_mapping(RunConfig()), "best": False}


def arrays_at(step: int) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(step)
    return {
        "model": {"net/a/kernel": rng.random((3, 3, 2), np.float32), "net/b": np.float32([step])},
        "optimizer": {"adam/iterations": np.array(step, np.int64)},
    }


def filled_store(directory: Path, steps: list[int], *, best: int = 0) -> CheckpointStore:
    store = CheckpointStore(directory, keep=2)
    for step in steps:
        store.save(step, arrays_at(step), DESCRIPTION | {"best": step == best})
    store.wait()
    return store


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [5])
    loaded = store.load_newest()
    assert loaded is not None
    checkpoint, arrays = loaded
    assert checkpoint.step == 5
    assert checkpoint.description["config"] == DESCRIPTION["config"]
    for group, values in arrays_at(5).items():
        assert arrays[group].keys() == values.keys()
        for name, array in values.items():
            np.testing.assert_array_equal(arrays[group][name], array)
            assert arrays[group][name].dtype == array.dtype
    assert json.loads((tmp_path / "latest.json").read_text())["step"] == 5


def test_the_last_few_and_the_best_are_kept(tmp_path: Path) -> None:
    filled_store(tmp_path, [1, 2, 3, 4, 5], best=2)
    assert [c.step for c in list_checkpoints(tmp_path)] == [2, 4, 5]
    assert sorted(p.name for p in tmp_path.glob("*.h5")) == [
        f"step_{step:08d}.h5" for step in (2, 4, 5)
    ]


def test_the_arrays_are_those_of_the_call_whatever_happens_to_them_later(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    first, second = arrays_at(1), arrays_at(2)
    store.save(1, first, DESCRIPTION)
    store.save(2, second, DESCRIPTION)  # waits for the first
    store.wait()
    for checkpoint in list_checkpoints(tmp_path):
        found = read_checkpoint(checkpoint.path)["model"]["net/b"]
        assert found == checkpoint.step


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "missing"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_loads(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled_store(tmp_path, [1, 2])
    newest = list_checkpoints(tmp_path)[-1]
    data = bytearray(newest.path.read_bytes())
    if damage == "missing":
        newest.path.unlink()
    else:
        data[100] ^= 4
        newest.path.write_bytes({"truncated": data[:-9], "flipped": data, "empty": b""}[damage])
    problem = verify(newest)
    assert problem is not None
    assert str(newest.path) in problem
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded[0].step == 1
    assert str(newest.path) in caplog.text
    assert newest.path.with_name("step_00000002.json.damaged").exists()


def test_a_lost_pointer_and_rubbish_beside_do_not_matter(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [1, 2])
    (tmp_path / "latest.json").unlink()
    (tmp_path / "step_00000003.json").write_text("{ torn")  # a file system lost its end
    (tmp_path / "step_00000004.h5").write_bytes(b"never described")
    (tmp_path / "step_x.json").write_text("{}")
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded[0].step == 2


@pytest.mark.parametrize("damage", [b"", bytes(300), b"[1]", b"changed"])
def test_a_damaged_description_is_set_aside_with_its_arrays(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled_store(tmp_path, [1, 2])
    description = tmp_path / "step_00000002.json"
    told = description.read_bytes()
    assert told.count(b'"best": false') == 1
    changed = told.replace(b'"best": false', b'"best": 1') if damage == b"changed" else damage
    description.write_bytes(changed)
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded[0].step == 1
    assert f"{description}: damaged" in caplog.text
    store.save(3, arrays_at(3), DESCRIPTION)
    store.wait()
    for name in ("step_00000002.json.damaged", "step_00000002.h5.damaged"):
        assert (tmp_path / name).exists()


def test_a_description_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    filled_store(tmp_path, [1])
    description = tmp_path / "step_00000002.json"
    description.symlink_to(description)  # what stands in for a file system that does not answer
    with pytest.raises(PconvError, match=r"step_00000002.json: .* cannot be read"):
        list_checkpoints(tmp_path)


def test_a_network_that_turns_out_useless_is_withdrawn(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [1, 2])
    assert store.withdraw(2) == 1
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded[0].step == 1
    assert (tmp_path / "step_00000002.h5.not_finite").is_file()
    assert store.withdraw(1) == 0
    assert store.load_newest() is None  # not damaged: the run may begin again


def test_a_description_of_an_earlier_version_has_no_seal(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [1])
    path = tmp_path / "step_00000001.json"
    description = json.loads(path.read_text())
    del description["seal"]
    path.write_text(json.dumps(description))
    assert store.load_newest() is not None


@pytest.mark.parametrize("part", ["arrays", "description"])
def test_when_all_are_damaged_nothing_is_started_over_silently(tmp_path: Path, part: str) -> None:
    store = filled_store(tmp_path, [1, 2])
    for checkpoint in list_checkpoints(tmp_path):
        suffix = ".h5" if part == "arrays" else ".json"
        checkpoint.path.with_suffix(suffix).write_bytes(b"")
    for _ in range(2):  # the second time all have been set aside
        with pytest.raises(PconvError, match="no usable checkpoint is left"):
            store.load_newest()
    assert CheckpointStore(tmp_path / "new", keep=2).load_newest() is None


def test_a_failed_write_is_told_and_harms_nothing(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [1])
    unwritable = arrays_at(2) | {"extra": {"time": np.array(["2018"], dtype="M8[Y]")}}
    store.save(2, unwritable, DESCRIPTION)
    with pytest.raises(PconvError, match="could not be written"):
        store.wait()
    assert [c.step for c in list_checkpoints(tmp_path)] == [1]
    assert not list(tmp_path.glob(".*"))
    store.save(3, arrays_at(3), DESCRIPTION)
    store.wait()
    assert [c.step for c in list_checkpoints(tmp_path)] == [1, 3]


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [1])
    broken = arrays_at(2)
    broken["model"]["net/b"][0] = np.nan
    store.save(2, broken, DESCRIPTION)
    with pytest.raises(PconvError, match="after step 2 'net/b' holds values that are not finite"):
        store.wait()
    assert [c.step for c in list_checkpoints(tmp_path)] == [1]


def test_a_new_description_keeps_the_arrays(tmp_path: Path) -> None:
    store = filled_store(tmp_path, [7])
    before = list_checkpoints(tmp_path)[0].path.read_bytes()
    store.annotate(7, DESCRIPTION | {"best": True})
    [checkpoint] = list_checkpoints(tmp_path)
    assert checkpoint.description["best"] is True
    assert verify(checkpoint) is None
    assert checkpoint.path.read_bytes() == before


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["model/x"] = [1.0]
    with pytest.raises(UsageError, match="not a training checkpoint"):
        read_checkpoint(path)
