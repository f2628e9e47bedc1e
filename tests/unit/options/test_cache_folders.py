"""Caches of libraries where HOME is of no use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.options.cache_folders import use_writable
from tests.support.paths import REPOSITORY

# Root may write everywhere: not in /proc, nor below a file.
UNWRITABLE = ("/proc/nonexistent", "/dev/null", "/proc")


def caches(**variables: str) -> dict[str, str]:
    environment = dict(variables)
    use_writable(environment)
    return {name: value for name, value in environment.items() if variables.get(name) != value}


def test_where_home_can_be_written_nothing_changes(tmp_path: Path) -> None:
    assert caches(HOME=str(tmp_path)) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", UNWRITABLE)
def test_where_it_cannot_each_cache_has_a_temporary_folder(
    home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", home)
    named = caches(KERAS_HOME=str(tmp_path / "keras"))
    assert {"NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "TRITON_HOME"} <= named.keys()
    assert "KERAS_HOME" not in named, "it is the user's, and fine"
    assert all(Path(folder).is_dir() for folder in named.values())
    assert len(set(named.values())) == len(named)


def test_folders_that_are_given_and_of_no_use_are_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert caches(NUMBA_CACHE_DIR="/proc/nonexistent").keys() == {"NUMBA_CACHE_DIR"}
    assert caches(XDG_CACHE_HOME="/dev/null").keys() == {"XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}
    monkeypatch.setenv("HOME", "/proc/nonexistent")
    given = caches(XDG_CACHE_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert given.keys() == {"KERAS_HOME", "TRITON_HOME", "CUDA_CACHE_PATH"}


def test_they_go_when_the_program_ends_and_serve_those_it_starts() -> None:
    child = "import os; print(os.environ['NUMBA_CACHE_DIR'])"
    program = (
        "import os, subprocess, sys\n"
        "from pconv_hpc.options import cli\n"
        "def main():\n"
        f"    subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
        "    open(os.environ['NUMBA_CACHE_DIR'] + '/x', 'w').close()\n"
        "cli.run(main)\n"
    )
    environment = os.environ | {"HOME": "/proc/nonexistent", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(done.stdout.strip()).exists()
