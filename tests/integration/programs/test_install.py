"""tools/install.py: what it shows, and what it does where something is missing."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

TOOL = REPOSITORY / "tools" / "install.py"


def run_tool(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the tool without any installed package in sight (-S)."""
    return subprocess.run(
        [sys.executable, "-S", TOOL, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        timeout=60,
        check=False,
    )


def test_help_teaches_and_says_what_is_not_tested() -> None:
    done = run_tool("--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert "PCONV_WHEEL_CACHE" in done.stdout
    assert "not covered by the automatic tests" in done.stdout


def test_a_dry_run_shows_the_steps_and_makes_nothing(tmp_path: Path) -> None:
    venv, cache = tmp_path / "venv", tmp_path / "wheels"
    done = run_tool(
        "--profile", "erase", "--venv", venv, "--dry-run",
        environment={"PCONV_WHEEL_CACHE": str(cache)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"make the virtual environment {venv}" in lines
    assert "pip install torch ==2.13.*" in lines
    assert f"install onedl-mmcv from {cache}, compiled first if it is not there" in lines
    assert "horovod" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_compiler_is_a_message_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    venv = tmp_path / "venv"
    done = run_tool("--venv", venv, environment={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 2
    assert "a C++ compiler (c++)" in done.stderr
    assert "apt-get install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not venv.exists()


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    done = run_tool("--profile", "everything")
    assert done.returncode == 2
    assert "erase" in done.stderr


def test_an_older_python_reads_the_file_and_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ast.parse(TOOL.read_text(), feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(TOOL))
    assert "this is Python 3.9, and 3.11, 3.12 or 3.13 is needed" in str(caught.value.code)
