"""The measurements run, on little: that both sides of each do their work and say what it cost."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import erasing, photos, processes, segmenting, suite
from benchmarks.compare import Result, compare
from pconv_hpc.foundation.errors import PconvError, UsageError
from tests.support.assets.small_network import CHECKPOINT, CONFIG


def test_photos_are_mixed_and_every_mask_fits(tmp_path: Path) -> None:
    photos.write_mixed_photos(tmp_path, 10)
    written = sorted((tmp_path / "photos").iterdir())
    assert {path.suffix for path in written} == {".jpg", ".png", ".webp"}
    sizes = set()
    for path in written:
        with Image.open(path) as image, Image.open(tmp_path / "masks" / f"{path.stem}.png") as mask:
            assert image.size == mask.size
            sizes.add(image.size)
            hole = np.asarray(mask, np.float32).mean()
            assert 0 < hole < 0.5
    assert len(sizes) > 3


def test_erasing_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_NUM_PHOTOS", 3)
    (comparison,) = erasing.erasing_comparisons(tmp_path)
    comparison.ours()
    ours = {path.name: path.read_bytes() for path in (tmp_path / "erased").iterdir()}
    comparison.reference()
    theirs = {path.name: path.read_bytes() for path in (tmp_path / "erased").iterdir()}
    assert ours.keys() == theirs.keys() == {"00000.jpg", "00001.jpg", "00002.jpg"}


def test_segmenting_both_ways(tmp_path: Path) -> None:
    comparison = segmenting.segmenting_comparison(CONFIG, CHECKPOINT, tmp_path, num_photos=2)
    assert compare(comparison, rounds=1).ratio > 0
    assert len(list((tmp_path / "found" / "instances").iterdir())) == 2


def test_the_network_of_full_size_can_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenting, "_NUM_LARGE", 1)
    comparison = segmenting.large_comparison(tmp_path)
    comparison.ours()
    assert len(list((tmp_path / "found" / "instances").iterdir())) == 1


def test_steps_are_measured_in_a_process_of_their_own() -> None:
    small = ("--image-size", "128", "--batch", "2", "--base-channels", "4", "--steps", "1")
    found = processes.steps(*small)
    assert found["seconds_per_step"] > 0
    assert found["peak_mib"] >= found["start_mib"] > 0


def test_waiting_is_a_part_of_a_step(tmp_path: Path) -> None:
    found = processes.measured([sys.executable, "-m", "benchmarks.waiting", str(tmp_path), "1"])
    assert 0 <= found["waiting_seconds"] < found["step_seconds"]


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(PconvError, match="no such thing"):
        processes.measured([sys.executable, "-c", "raise SystemExit('no such thing')"])
    with pytest.raises(PconvError, match=r"train\.py .* exited with 2: .*no-such\.yaml"):
        processes.run_tool("train.py", "no-such.yaml", "--run-dir", tmp_path / "run")


def test_groups_are_chosen_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(folder: Path, rounds: int):
        assert folder.is_dir()
        yield Result.of_one(
            name=folder.name, against="", quantity="time", goal=1, ours=rounds, reference=2
        )

    monkeypatch.setattr(suite, "GROUPS", {"one": measure, "two": measure})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert [r.name for r in suite.run_groups(["two"], tmp_path / "a", 4)] == ["two"]
    assert [r.ratio for r in suite.run_groups([], tmp_path / "b", 4)] == [2.0, 2.0]
    with pytest.raises(UsageError, match=r"no measurement three; there are: one, two"):
        list(suite.run_groups(["three"], tmp_path, 1))
