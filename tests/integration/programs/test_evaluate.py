"""tools/evaluate.py as a person runs it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pconv_hpc.evaluation.measuring.baselines import BASELINES
from pconv_hpc.foundation.launchers import mpirun_command
from tests.support.evaluation_files import random_lpips_arrays, write_network, write_photos
from tests.support.mask_folders import make_mask_folder
from tests.support.paths import REPOSITORY

TOOL = [sys.executable, str(REPOSITORY / "tools" / "evaluate.py")]


def run_tool(cwd: Path, *arguments: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    command = [*TOOL, *arguments]
    if ranks > 1:
        command = mpirun_command(ranks, command)
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )


def prepare(folder: Path) -> Path:
    """Put everything an evaluation takes into a folder."""
    write_photos(folder / "photos")
    (folder / "photos" / "broken.jpg").write_bytes(b"no photo")
    write_network(folder / "weights.h5", image_size=48)
    make_mask_folder(folder / "objects")
    (folder / "weights").mkdir()
    np.savez(folder / "weights" / "lpips_alexnet.npz", **random_lpips_arrays(0))
    return folder


def without_seconds(out: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the results and the errors but for how long filling took."""
    results = json.loads((out / "results.json").read_text())
    for row in (*results["by_hole_ratio"], *results["by_border"], *results["ghosting"]):
        assert row.pop("seconds") > 0
    with open(out / "errors.csv", newline="") as stream:
        errors = list(csv.DictReader(stream))
    for error in errors:
        assert float(error.pop("seconds")) > 0
    return results, errors


@pytest.mark.mpi
def test_three_ranks_find_what_one_finds(tmp_path: Path) -> None:
    prepare(tmp_path / "1")
    shutil.copytree(tmp_path / "1", tmp_path / "3")
    written = []
    for ranks in (1, 3):
        folder = tmp_path / str(ranks)
        done = run_tool(
            folder,
            *("photos", "--weights", "weights.h5", "--out", "out", "--objects-from", "objects"),
            *("--masks", "boxes", "objects", "--ghosting-photos", "4", "--size", "48"),
            ranks=ranks,
        )
        assert done.returncode == 0, done.stderr
        assert "masks          method  holes" in done.stdout
        assert "report: out/report.html" in done.stdout
        assert "tables by hole ratio: out/tables.md" in done.stdout
        for name in ("report.html", "tables.md", "contact_sheet_1.png"):
            assert (folder / "out" / name).is_file()
        sheet = (folder / "out" / "contact_sheet_1.png").read_bytes()
        written.append([*without_seconds(folder / "out"), sheet])
    assert written[0] == written[1]
    results = written[0][0]
    assert results["image_size"] == 48
    assert results["has_lpips"] is True
    assert results["methods"] == [
        *("pconv, patches", "pconv, blended", "network alone", "telea", "navier_stokes", "fsr"),
        *("patchmatch", "biharmonic", "mean"),
    ]
    assert [left["photo"] for left in results["left_out"]] == ["broken.jpg"]


def test_without_lpips_it_says_how_to_get_it(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    arguments = ("photos", "--out", "out", "--size", "32", "--baselines", "mean")
    done = run_tool(tmp_path, *arguments, "--masks", "boxes", "--ghosting-photos", "0")
    assert done.returncode == 0, done.stderr
    assert "pconv-hpc fetch-weights lpips" in done.stderr
    assert "LPIPS" not in done.stdout
    assert "mean" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "--weights", "none.h5"), "none.h5: no such weights file or run folder"),
        (("none",), "none: no such folder or file"),
        (("photos", "--baselines", "best"), "invalid choice: 'best'"),
        (("photos", "--size", "0"), "0 is not at least 1"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    write_photos(tmp_path / "photos")
    done = run_tool(tmp_path, *arguments, "--out", "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_names_every_method(tmp_path: Path) -> None:
    shown = run_tool(tmp_path, "--help").stdout
    assert "{" + ",".join(BASELINES) + "}" in shown
    assert "{patches,blended,none}" in shown


def test_a_stop_signal_ends_it_with_75(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    command = [*TOOL, "photos", "--out", "out", "--size", "96", "--baselines", "mean"]
    with subprocess.Popen(
        [*command, "--masks", "strokes", "--masks-per-photo", "100"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as process:
        while not (tmp_path / "out" / "figures").exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGUSR2)
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 75
    assert "stopped before the end" in errors
    assert not (tmp_path / "out" / "results.json").exists()
