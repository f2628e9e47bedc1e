"""tools/make_masks.py as a person runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.masks.mask_bank import MaskBank
from tests.support.drawn_silhouettes import write_drawn
from tests.support.mask_folders import make_mask_folder
from tests.support.paths import REPOSITORY
from tests.support.waiting import end_of, wait_until

TOOL = REPOSITORY / "tools" / "make_masks.py"


def run_tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )


def test_draws_a_mixed_bank_with_table_and_picture(tmp_path: Path) -> None:
    masks = make_mask_folder(tmp_path / "masks")
    bank_path, picture = tmp_path / "out" / "bank.h5", tmp_path / "out" / "bank.png"
    options = ("--num-masks", "72", "--size", "48", "--style", "mixed", "--objects-from", masks)
    done = run_tool(bank_path, *options, "--workers", "2", "--contact-sheet", picture)
    assert done.returncode == 0, done.stderr
    assert "drawing masks" in done.stderr
    bank = MaskBank(bank_path)
    assert (bank.num_masks, bank.size) == (72, 48)
    assert set(bank.styles) == {0, 1, 2}
    assert "(0.5, 0.6]" in done.stdout
    assert Image.open(picture).size == (12 * 132 - 4, 6 * 132 - 4)

    again = run_tool(bank_path, *options)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[:8] == done.stdout.splitlines()[:8]


def test_a_dry_run_shows_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    masks = make_mask_folder(tmp_path / "masks")
    done = run_tool(
        tmp_path / "bank.h5", "--num-masks", "600", "--style", "objects", "--objects-from", masks,
        "--dry-run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 silhouettes from" in done.stdout
    assert done.stdout.count("100") >= 6
    assert not (tmp_path / "bank.h5").exists()


def test_a_silhouette_file_is_taken_like_a_folder(tmp_path: Path) -> None:
    objects = write_drawn(tmp_path / "objects.h5")
    options = ("--num-masks", "12", "--size", "48", "--style", "objects", "--objects-from")
    done = run_tool(tmp_path / "bank.h5", *options, objects)
    assert done.returncode == 0, done.stderr
    assert MaskBank(tmp_path / "bank.h5").num_masks == 12
    (tmp_path / "junk.h5").write_bytes(b"junk")
    refused = run_tool(tmp_path / "other.h5", *options, tmp_path / "junk.h5")
    assert refused.returncode == 2
    assert "junk.h5: not a readable HDF5 file" in refused.stderr


def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        (("--style", "objects"), "--style objects needs --objects-from"),
        (("--style", "boxes", "--objects-from", tmp_path), "--objects-from has no effect"),
        (("--style", "objects", "--objects-from", tmp_path / "empty"), "holds no PNG"),
        (("--size", "3"), "expected 16 to 8192 pixels"),
        (("--seed", "-1"), "seed -1: expected"),
        (("--num-masks", "0"), "0 is not at least 1"),
    ):
        done = run_tool(tmp_path / "bank.h5", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "bank.h5").exists()


@pytest.mark.parametrize(
    "arguments", [("file/bank.h5",), ("bank.h5", "--contact-sheet", "file/sheet.png")]
)
def test_a_file_in_place_of_a_folder_is_one_message(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    paths = [word if word.startswith("--") else tmp_path / word for word in arguments]
    done = run_tool(*paths, "--num-masks", "6", "--size", "32", "--workers", "1")
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    assert line.startswith(f"error: {paths[-1]}: cannot be written (")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("delay", [0.1, 1.5])  # while the workers start, and while they draw
def test_ctrl_c_leaves_nothing_and_the_same_command_starts_over(
    tmp_path: Path, delay: float
) -> None:
    command = [sys.executable, TOOL, tmp_path / "bank.h5", "--size", "512", "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--num-masks", "100000"],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list(tmp_path.iterdir()), process)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)  # to the workers too, as a terminal sends it
    _, errors = end_of(process)
    assert process.returncode == 75, errors
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
    done = run_tool(*command[2:], "--num-masks", "12")
    assert done.returncode == 0, done.stderr
    assert np.isin(MaskBank(tmp_path / "bank.h5").bins, range(6)).all()
