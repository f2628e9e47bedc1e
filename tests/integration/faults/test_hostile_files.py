"""Files of numbers and settings that lie or hold code, through every reader: refused by name.

What each reader checks in detail is tested beside it: ``tests/unit/model/test_weights.py``,
``tests/unit/shards/test_shard_file.py``, ``tests/unit/masks/test_mask_bank.py``,
``tests/unit/segmentation/test_detector.py``.
"""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.arrays.npz import read_float_arrays
from pconv_hpc.foundation.config import load_config
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.masks.silhouettes import Silhouettes
from pconv_hpc.model.vgg import load_vgg16
from pconv_hpc.model.weights import load_model
from pconv_hpc.shards.shard_file import damaged_images, map_shard
from pconv_hpc.shards.shard_index import read_index
from pconv_hpc.training.checkpoint import read_checkpoint
from tests.integration.faults.hostile_yaml import HOSTILE_YAML
from tests.support.paths import REPOSITORY

READERS: dict[str, Callable[[Path], Any]] = {
    "weights": load_model,
    "checkpoint": read_checkpoint,
    "shard": map_shard,
    "shard checksums": damaged_images,
    "mask bank": MaskBank,
    "silhouettes": lambda path: Silhouettes.from_path(path, seed=0),
    "vgg": load_vgg16,
    "arrays": lambda path: read_float_arrays(path, {"a": (2,)}, expected="two numbers"),
    "index": read_index,
}
_TOP_LEVEL = ("model", "optimizer", "images", "keys", "crc32", "bits", "styles", "counts", "ends")


class Trap:
    """What runs code when it is unpickled: it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def _numpy_trap(trap: Trap) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([trap, trap], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _zip_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _hdf5_of(fill: Callable[[h5py.File], None]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name in ("format", "format_version", "model_config"):
            file.attrs[name] = {"format_version": 1}.get(name, "pconv_hpc checkpoint")
        fill(file)
    return stream.getvalue()


def _links_out(file: h5py.File) -> None:
    for name in _TOP_LEVEL:
        file[name] = h5py.ExternalLink("/etc/passwd", "/")


def _data_outside(file: h5py.File) -> None:
    for name in _TOP_LEVEL:
        file.create_dataset(name, (16, 16), np.uint8, external=[("/etc/passwd", 0, 256)])


def _petabytes(file: h5py.File) -> None:
    for name in _TOP_LEVEL:
        file.create_dataset(name, (1 << 20, 1 << 20, 1 << 10), np.uint8, chunks=(1, 1, 1 << 10))


def _groups_in_place_of_data(file: h5py.File) -> None:
    for name in _TOP_LEVEL:
        file.create_group(f"{name}/{name}")


def hostile_files(trap: Trap) -> dict[str, bytes]:
    """Return contents that no reader may accept, by what they are."""
    hdf5 = _hdf5_of(_groups_in_place_of_data)
    return {
        "nothing": b"",
        "a page": b"<!DOCTYPE html><title>404 Not Found</title>" * 40,
        "zeros": bytes(5000),
        "a pickle": pickle.dumps({"state_dict": trap, "a": trap}),
        "an archive of pickles": _zip_of({"a.npy": _numpy_trap(trap), "data.pkl": b"x"}),
        "an archive that climbs": _zip_of({"../../a.npy": b"x", "/a.npy": b"x"}),
        "half an HDF5": hdf5[: len(hdf5) // 2],
        "a signature alone": hdf5[:8],
        "links to other files": _hdf5_of(_links_out),
        "data in other files": _hdf5_of(_data_outside),
        "claims of petabytes": _hdf5_of(_petabytes),
        "groups for data": hdf5,
        "an HDF5 of nothing": _hdf5_of(lambda file: None),
        "deep JSON": b"[" * 100_000,
        "JSON of nothing": b'{"format_version": 1, "shards": [{"file": "../../etc/passwd"}]}',
    }


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_no_reader_accepts_what_it_must_not(tmp_path: Path, reader: str, suffix: str) -> None:
    trap = tmp_path / "trapped"
    for what, content in hostile_files(Trap(trap)).items():
        path = tmp_path / f"file{suffix}"
        path.write_bytes(content)
        with pytest.raises(UsageError) as raised:
            READERS[reader](path)
        assert str(path) in str(raised.value), what
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=path.name):
        READERS[reader](path)
    assert not trap.exists(), "code from a data file ran"


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "trapped")))
    assert (tmp_path / "trapped").exists()


@pytest.mark.parametrize("what", HOSTILE_YAML)
def test_no_configuration_runs_code_or_crashes(what: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HOSTILE_YAML[what].format(trap=tmp_path / "trapped"))
    with pytest.raises(UsageError) as raised:
        load_config(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 2000
    assert not (tmp_path / "trapped").exists()


def test_the_programs_answer_hostile_files_with_one_message(tmp_path: Path) -> None:
    config, index = tmp_path / "config.yaml", tmp_path / "index.json"
    config.write_text(HOSTILE_YAML["an object"].format(trap=tmp_path / "trapped"))
    index.write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
    for command, named in (
        (["tools/train.py", config, "--run-dir", tmp_path / "run", "--dry-run"], config),
        (["tools/inspect_shards.py", index, "--verify"], index),
    ):
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=REPOSITORY, capture_output=True, text=True
        )
        assert done.returncode == 2, done.stderr
        assert f"error: {named}" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "index.json"]
