"""The job scripts themselves: ShellCheck, and what every one of them must ask of Slurm."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

JOBS = REPOSITORY / "jobs"
SCRIPTS = sorted(JOBS.glob("*.sbatch"))
SITES = [JOBS / "site.example.sh", *sorted((JOBS / "sites").glob("*.sh"))]


def test_there_are_scripts_and_sites() -> None:
    assert {path.stem for path in SCRIPTS} >= {"train_a100", "pack_imagenet", "erase_array"}
    assert {path.stem for path in SITES} >= {"debian_local", "tamu_grace", "tamu_faster"}


@pytest.mark.parametrize("path", [*SCRIPTS, JOBS / "common.sh", *SITES], ids=lambda p: p.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "--external-sources", str(path)],
        cwd=JOBS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_job_can_be_requeued_and_is_told_before_its_limit(path: Path) -> None:
    lines = path.read_text().splitlines()
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {"--requeue", "--open-mode=append"} <= set(options)
    assert any(re.fullmatch(r"--signal=(B:)?USR2@\d+", option) for option in options)
    assert len(lines) < 100


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.name)
def test_every_site_loads_an_environment(path: Path) -> None:
    script = f'source "{path}" && declare -F load_environment'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "load_environment", done.stderr
