"""The fuzzer for a fixed number of runs with a fixed seed; ``make soak`` does a million of each."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

RUNS = {"images": 2000, "configurations": 1500, "manifests": 2000, "ledgers": 1500, "lists": 1500}


@pytest.mark.parametrize("target", RUNS)
def test_no_input_raises_anything_but_the_error_a_user_sees(target: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.integration.faults.fuzz",
            target,
            tmp_path,
            str(RUNS[target]),
            "1",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"stat::number_of_executed_units: {RUNS[target]}\n" in done.stderr
    assert list(tmp_path.glob("crash-*")) == []


def test_the_fuzzer_finds_what_is_there_to_find(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.integration.faults import fuzz\n"
        "class Fragile(fuzz.Images):\n"
        "    def __call__(self, data):\n"
        "        if data[:2] == b'II': raise KeyError('a TIFF')\n"
        "fuzz.TARGETS['images'] = Fragile\n"
        "fuzz.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "images", tmp_path, "200", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=500,
    )
    assert done.returncode != 0
    assert "KeyError: 'a TIFF'" in done.stdout + done.stderr
    assert len(list(tmp_path.glob("crash-*"))) == 1
