"""PyTorch's files: fitting, damaged, hostile, and without PyTorch."""

import pickle
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.importing.torch_file import read_tensors
from tests.support.hostile_pickles import RunsCode

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(5)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "theirs.pth"


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_tensors_are_found_where_programs_put_them(path: Path, key: str | None, is_zip: bool):
    content = WEIGHTS if key is None else {"iter": 3, key: WEIGHTS}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    arrays = read_tensors(path)
    np.testing.assert_array_equal(arrays["a.weight"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["a.count"] == 5


def test_half_precision_and_what_training_leaves_beside_are_read(path: Path):
    halves = {"a": torch.tensor([1.5]).half(), "b": torch.tensor([2.5]).bfloat16()}
    history = {"loss": HistoryBuffer([1.0, 2.0], [1, 1])}
    torch.save({"state_dict": halves, "message_hub": history, "seed": np.int64(3)}, path)
    arrays = read_tensors(path)
    assert {(name, array.dtype.str, array[0]) for name, array in arrays.items()} == {
        ("a", "<f4", 1.5),
        ("b", "<f4", 2.5),
    }


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_never_runs(path: Path, tmp_path: Path, is_zip: bool):
    hostile = {"state_dict": WEIGHTS, "meta": RunsCode(tmp_path / "canary")}
    torch.save(hostile, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UsageError, match=r"io\.open\).*never run here.*docs/guide/segment\.md"):
        read_tensors(path)
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "canary")))
    with pytest.raises(UsageError, match="damaged, or no checkpoint of PyTorch"):
        read_tensors(path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_damaged(path: Path, share: float, is_zip: bool):
    torch.save({"a": torch.rand(1000)}, path, _use_new_zipfile_serialization=is_zip)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UsageError, match=r"theirs\.pth: damaged, or no checkpoint of PyTorch"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no weights; expected a state dict"),
        ({"state_dict": {}}, "holds no weights; expected a state dict"),
        ({"epoch": 3, "lr": 0.1}, "'epoch' is no plain tensor; expected a state dict"),
        ({"a": torch.zeros(2).to_sparse()}, "'a' is no plain tensor"),
        ({"a": torch.zeros(1).expand(9000, 9000)}, "'a' claims shape (9000, 9000), more than"),
    ],
)
def test_what_holds_no_weights(path: Path, content: Any, message: str):
    torch.save(content, path)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_tensors(path)


def test_a_file_that_unpacks_to_more_is_refused(path: Path, tmp_path: Path):
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part))
    with pytest.raises(UsageError, match=r"unpacks to 4\d\d,\d\d\d bytes, more than the file has"):
        read_tensors(path)


def test_a_missing_file_and_a_missing_pytorch_say_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UsageError, match=r"no such file; expected one that torch\.save wrote"):
        read_tensors(path)
    torch.save(WEIGHTS, path)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(PconvError, match=r"needs PyTorch.*make install PROFILE=erase") as caught:
        read_tensors(path)
    assert caught.value.exit_code == 1
