"""tools/import_weights.py as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pconv_hpc.model.weights import load_model
from tests.support import torch_unets
from tests.support.hostile_pickles import RunsCode
from tests.support.paths import REPOSITORY


def run_tool(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "import_weights.py", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )


def saved() -> dict[str, Any]:
    return torch_unets.saved("mmagic", torch_unets.build("mmagic", widths=[4, 8]))


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    torch.save(saved(), tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


def test_a_file_is_imported_and_described(theirs: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "ours.h5"
    done = run_tool(theirs, out, "--image-size", "192")
    assert done.returncode == 0, done.stderr
    assert "PConvUNet of 2 levels, 4 to 8 channels, as MMagic (MMEditing) trained it" in done.stdout
    assert "left out: 2 tensors of the losses of its training, such as loss_percep" in done.stdout
    assert f"train.initial_weights={out} --set model.padding=symmetric" in done.stdout
    _, config, metadata = load_model(out)
    assert (config.padding, config.pixels) == ("symmetric", "signed")
    assert metadata["image_size"] == 192
    assert metadata["imported_from"] == "theirs.pth"
    assert len(metadata["imported_sha256"]) == 64


def test_what_cannot_be_imported_is_said_and_nothing_is_written(
    theirs: Path, tmp_path: Path
) -> None:
    out, canary = tmp_path / "ours.h5", tmp_path / "canary"
    content = saved()
    bad = tmp_path / "bad.pth"
    for spoilt, message in [
        ({"state_dict": {"fc.weight": torch.zeros(2)}}, "the weights of another network"),
        ({**content, "meta": RunsCode(canary)}, "code in checkpoints is never run"),
        ({"state_dict": {**content["state_dict"], "x": torch.zeros(1)}}, "'x' is unexpected"),
    ]:
        torch.save(spoilt, bad)
        done = run_tool(bad, out)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    bad.write_bytes(theirs.read_bytes()[:-1000])
    done = run_tool(bad, out)
    assert done.returncode == 2
    assert "damaged" in done.stderr
    assert not out.exists()
    assert not canary.exists()


def test_a_file_that_is_there_is_kept(theirs: Path, tmp_path: Path) -> None:
    done = run_tool(theirs, theirs)
    assert done.returncode == 2
    assert "exists; choose another name" in done.stderr
    (tmp_path / "file").touch()
    done = run_tool(theirs, tmp_path / "file" / "ours.h5")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_pytorch_it_says_what_to_install(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('none here')")
    done = run_tool(theirs, tmp_path / "ours.h5", PYTHONPATH=f"{tmp_path}:{REPOSITORY}")
    assert done.returncode == 1
    assert "make install PROFILE=erase" in done.stderr
    assert "Traceback" not in done.stderr


def test_numbers_too_large_are_refused(theirs: Path, tmp_path: Path) -> None:
    content = saved()
    name = "generator.encoder.enc1.conv.weight"
    content["state_dict"][name] = content["state_dict"][name].double() * 1e200
    torch.save(content, theirs)
    done = run_tool(theirs, tmp_path / "ours.h5")
    assert done.returncode == 1
    assert "holds values that float32 cannot" in done.stderr
    assert list(tmp_path.iterdir()) == [theirs]
