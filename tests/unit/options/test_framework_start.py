"""What reaches standard error while a framework is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.options import framework_start
from pconv_hpc.options.framework_start import has_gpu, problems
from tests.support.paths import REPOSITORY

NOTES = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795917908.282239   23181 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1795917923.526271   23181 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA
E0000 00:00:1795917923.526271   23181 cuda_dnn.cc:8579] Unable to register cuDNN factory: twice
2026-11-29 02:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
W1129 02:00:00.123000 140 torch/utils/flop_counter.py:29] triton not found; flop counting
"""
ERROR = "E0000 00:00:1795917923.526271   23181 memory.cc:1] no memory left\n"
# A package in TensorFlow's place that writes as C++ does, past Python.
FAKE = """\
import os

os.write(2, {notes!r}.encode())

class config:
    def list_physical_devices(kind):
        os.write(2, b"E0000 0 1 cuda.cc:5] failed call to cuInit: UNKNOWN ERROR (303)\\n")
        return {gpus}

config = config
{more}
"""


def load(folder: Path, more: str = "", *, gpus: str = "[]", **variables: str) -> str:
    """Load the package in a program, and return what that wrote to standard error."""
    (folder / "tensorflow.py").write_text(FAKE.format(notes=NOTES, gpus=gpus, more=more))
    program = (
        "from pconv_hpc.options import cli\n"
        "from pconv_hpc.options import framework_start as start\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        f"start.has_gpu = partial(start.has_gpu, devices=Path({str(folder)!r}))\n"
        "def main():\n"
        "    import tensorflow, sys\n"
        "    print('loaded', tensorflow.__spec__.loader, file=sys.stderr)\n"
        "cli.run(main)\n"
    )
    environment = {n: v for n, v in os.environ.items() if n != "CUDA_VISIBLE_DEVICES"}
    environment |= {"PYTHONPATH": f"{folder}:{REPOSITORY}", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | variables,
        stderr=subprocess.PIPE,
        text=True,
    )
    return done.stderr


def test_notes_are_no_problems_and_problems_stay() -> None:
    assert problems(NOTES) == ""
    assert problems(f"{NOTES}{ERROR}a line of its own\n") == f"{ERROR}a line of its own\n"


def test_on_a_machine_without_a_gpu_nothing_is_said(tmp_path: Path) -> None:
    said = load(tmp_path)
    assert said.startswith("loaded <_frozen_importlib_external.SourceFileLoader")
    assert said.count("\n") == 1


def test_a_gpu_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    told, loaded = load(tmp_path).splitlines()
    assert told.startswith("this machine has a GPU that tensorflow cannot use")
    assert "failed call to cuInit: UNKNOWN ERROR (303)" in told
    assert loaded.startswith("loaded")
    assert "this machine" not in load(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert "this machine" not in load(tmp_path, gpus="['GPU:0']")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (f"os.write(2, {ERROR!r}.encode())", "no memory left"),
        ("import no_such_library", "oneDNN custom operations"),  # why, may be among the notes
        ("os.abort()", "Fatal Python error: Aborted"),
    ],
)
def test_what_goes_wrong_is_shown(tmp_path: Path, more: str, expected: str) -> None:
    assert expected in load(tmp_path, more)


def test_who_asks_for_everything_gets_it(tmp_path: Path) -> None:
    assert "oneDNN custom operations" in load(tmp_path, TF_CPP_MIN_LOG_LEVEL="0")


def test_the_frameworks_of_this_environment_say_nothing() -> None:
    program = "from pconv_hpc.options import cli\ncli.run(lambda: print(__import__('{}').__name__))"
    for name in framework_start._FRAMEWORKS:
        done = subprocess.run(
            [sys.executable, "-c", program.format(name)],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == (f"{name}\n", "")


def test_a_gpu_is_there_unless_it_is_hidden(tmp_path: Path) -> None:
    assert not has_gpu({}, tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert not has_gpu({}, tmp_path)
    (tmp_path / "nvidia3").touch()
    assert has_gpu({"CUDA_VISIBLE_DEVICES": "0"}, tmp_path)
    assert not has_gpu({"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path)
