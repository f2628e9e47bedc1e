"""The demonstration, shorter but whole: real ranks, a real signal, a real report."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.photos.sample_photos import sample_photos
from pconv_hpc.demo.pictures import held_out_names, write_crops, write_photos_to_erase
from pconv_hpc.demo import run
from pconv_hpc.demo.run import run_demo
from pconv_hpc.foundation.errors import PconvError, UsageError
from tests.support.paths import ASSETS, REPOSITORY


@pytest.mark.mpi
def test_the_whole_demonstration(tmp_path: Path) -> None:
    out_dir = tmp_path / "my demo"
    command = [sys.executable, REPOSITORY / "tools" / "demo.py", "--out", out_dir]
    network = (ASSETS / "small_mask_rcnn.py", ASSETS / "small_mask_rcnn.pth")
    done = subprocess.run(
        [*command, "--steps-per-epoch", "20", "--mask-rcnn", *network],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=tmp_path,
        env=os.environ | {"SLURM_CPUS_PER_TASK": "1"},
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    report = out_dir / "report.html"
    assert f"report: {report}" in done.stdout
    assert "sending USR2" in done.stdout

    state = json.loads((out_dir / "run" / "state.json").read_text())
    assert (state["status"], state["step"]) == ("finished", 80)
    text = report.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text), "the report needs other files"
    assert text.count("data:image/png;base64,") == 4 * len(held_out_names()) + 2 + 1 + 2
    for name, result in itertools.product(held_out_names(), ("erased", "erased_by_run")):
        before, after = (
            np.asarray(Image.open(out_dir / folder / f"{name}.png"))
            for folder in ("photos", result)
        )
        hole = np.asarray(Image.open(out_dir / "masks" / f"{name}.png")) > 0
        np.testing.assert_array_equal(after[~hole], before[~hole])
        assert (after[hole] != before[hole]).any()

    before, after = (
        np.asarray(Image.open(out_dir / "click" / name)).astype(int)
        for name in ("photo.png", "erased.png")
    )
    is_disc = (before[..., 0] - before[..., 1:].max(axis=-1)) > 80
    assert is_disc.sum() > 3000
    assert ((after[..., 0] - after[..., 1:].max(axis=-1)) > 80)[is_disc].mean() < 0.05

    (out_dir / "made_by_pconv_demo").unlink()
    with pytest.raises(UsageError, match="other files than a demonstration's"):
        run_demo(out_dir, num_ranks=1, steps_per_epoch=1)
    assert report.is_file()


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out_dir in (tmp_path / "file", tmp_path / "file" / "demo"):
        with pytest.raises(PconvError, match=rf"{out_dir}: cannot be written \(Not a directory\)"):
            run_demo(out_dir, num_ranks=1, steps_per_epoch=1)


def test_training_never_sees_what_is_erased(tmp_path: Path) -> None:
    for held_out in (False, True):
        write_crops(tmp_path / str(held_out), num_crops=14, size=16, held_out=held_out, seed=0)
    seen = {path.name for path in (tmp_path / "False").iterdir()}
    kept = {path.name for path in (tmp_path / "True").iterdir()}
    assert kept == set(held_out_names())
    assert seen | kept == set(sample_photos())
    assert not seen & kept
    assert len(list((tmp_path / "False").rglob("*.png"))) == 14


def test_masks_mark_a_small_part_of_their_photos(tmp_path: Path) -> None:
    write_photos_to_erase(tmp_path / "photos", tmp_path / "masks")
    for name in held_out_names():
        with (
            Image.open(tmp_path / "photos" / f"{name}.png") as photo,
            Image.open(tmp_path / "masks" / f"{name}.png") as mask,
        ):
            assert photo.size == mask.size
            assert 0.01 < (np.asarray(mask) > 0).mean() < 0.25


def test_without_mmdetection_the_click_is_left_out_and_how_to_get_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "mmdet" else name)
    run._erase_by_click(run._Steps(1), tmp_path, (Path("config.py"), Path("weights.pth")))
    said = capsys.readouterr().out
    assert "left out, mmdet not installed" in said
    assert "make install PROFILE=erase && make demo" in said
    assert not list(tmp_path.iterdir())
