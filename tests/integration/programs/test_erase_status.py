"""tools/erase_status.py as people run it, on folders made by hand, where there is no Slurm."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.erase_folders import account, make_erase_folder
from tests.support.paths import REPOSITORY

TOOL = REPOSITORY / "tools" / "erase_status.py"


def status(*arguments: object, path: str = "/nowhere") -> subprocess.CompletedProcess[str]:
    """Run the tool where no Slurm is found."""
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )


def test_where_a_folder_stands_as_text_as_json_and_as_a_page(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    account(manifest, 0, "erased", "empty", "erased")
    account(manifest, 2, "failed", "", "failed", reason="<b>damaged</b>")
    shown = status(manifest.out)
    assert shown.returncode == 0, shown.stderr
    lines = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines() if line[0] != " ")
    assert lines["rerun"] == "1-3"
    assert lines["remaining"] == "9"
    assert lines["command"] == (
        f"{sys.executable} -P -m pconv_hpc.commands.erase '{manifest.images}' '{manifest.out}'"
    )
    found = json.loads(status(manifest.out, "--json").stdout)
    assert (found["state"], found["rerun"], found["failed"]) == ("ended early", [1, 2, 3], 2)

    page = manifest.out / "report.html"
    told = status(manifest.out, "--report", "--dry-run")
    assert f"report      {page} would be written" in told.stdout
    assert not page.exists()
    told = status(manifest.out, "--report", "--dry-run", "--json")
    assert json.loads(told.stdout)["rerun"] == [1, 2, 3]
    assert f"{page} would be written" in told.stderr

    reported = status(manifest.out, "--report")
    assert reported.returncode == 0, reported.stderr
    text = page.read_text()
    assert "<b>damaged" not in text
    assert "&lt;b&gt;damaged" in text
    assert "no photo" not in text
    assert text.count("cannot be read") == 2  # erased photos that are not there, as told


def test_photos_that_were_set_aside_get_another_chance(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    for _ in range(3):
        account(manifest, 0, "erased", "failed", "empty")
    assert "1 set aside" in status(manifest.out).stdout
    shown = status(manifest.out, "--retry-failed", "--dry-run")
    assert "1 photos that were set aside would be tried again" in shown.stderr
    assert "1 set aside" in status(manifest.out).stdout
    shown = status(manifest.out, "--retry-failed")
    assert "1 photos that were set aside will be tried again" in shown.stderr
    assert "0 set aside" in shown.stdout
    assert "rerun       0" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected the manifest of an OUT folder"),
        (("--resubmit", "--watch"), "not allowed with"),
        (("--report", "--watch"), "cannot be combined"),
        (("--time", "1:00"), "need --resubmit"),
        (("--sbatch", "x", "--resubmit"), "expected OPTION=VALUE"),
    ],
)
def test_what_cannot_be_done(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = status(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_resubmitting_needs_a_slurm(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    done = status(manifest.out, "--resubmit")
    assert done.returncode == 2
    assert "--resubmit needs Slurm, which does not answer; to continue here:" in done.stderr
