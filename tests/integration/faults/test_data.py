"""Shards that changed on disk, and file systems without locks, in real processes.

Missing, truncated and swapped shards, and indexes that do not fit, are in
``tests/unit/shards/test_shard_file.py``.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.training.run_folder import RunFolder
from tests.support.packed_crops import write_pack
from tests.support.paths import REPOSITORY
from tests.support.training_runs import RunTool

DAMAGED = 4  # image of the pack


@pytest.fixture
def damaged(config_path: Path, tmp_path: Path) -> Path:
    """A configuration whose pack has one changed bit in one photo."""
    index = write_pack(tmp_path / "pack", split="train", num_images=21, num_shards=2, seed=1)
    with ShardReader(index) as reader:
        path, image = reader.shard_path(DAMAGED), reader.images([DAMAGED])
    data = bytearray(path.read_bytes())
    data[data.index(image.tobytes()) + 1000] ^= 1
    path.write_bytes(data)
    config = yaml.safe_load(config_path.read_text())
    config["data"]["train_index"] = str(index)
    (tmp_path / "damaged.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "damaged.yaml"


@pytest.mark.mpi
def test_a_changed_bit_stops_all_ranks_with_the_name_of_the_photo(
    damaged: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    done = run_tool(
        "tools/train.py", damaged, "--run-dir", tmp_path / "run", ranks=2, expect=(1, 2)
    )
    assert f"{tmp_path}/pack/train_0.h5: image 'crop_8' is damaged" in done.stderr
    assert "data.on_damage=skip" in done.stderr
    assert "Traceback" not in done.stderr
    assert RunFolder(tmp_path / "run").read_state().status != "finished"


def test_a_changed_bit_can_be_passed_by(damaged: Path, run_tool: RunTool, tmp_path: Path) -> None:
    skip = ("--set", "data.on_damage=skip")
    done = run_tool("tools/train.py", damaged, "--run-dir", tmp_path / "run", *skip)
    assert "image 'crop_8' is damaged; 'crop_10' is used in its place" in done.stderr
    assert RunFolder(tmp_path / "run").read_state().status == "finished"


@pytest.mark.parametrize(("locking", "code"), [(None, 0), ("TRUE", 1)])
def test_shards_are_read_where_locks_cannot_be_had(
    locking: str | None, code: int, tmp_path: Path
) -> None:
    index = write_pack(tmp_path, split="val", num_images=2, num_shards=1, seed=1)
    environment = {k: v for k, v in os.environ.items() if k != "HDF5_USE_FILE_LOCKING"}
    if locking:  # what HDF5 does by itself
        environment["HDF5_USE_FILE_LOCKING"] = locking
    with open(tmp_path / "val_0.h5", "rb") as shard:
        fcntl.flock(shard, fcntl.LOCK_EX)  # nobody else can lock it now
        done = subprocess.run(
            [sys.executable, "tools/inspect_shards.py", index, "--verify"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
