"""Evaluations from beginning to end, in this process."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pconv_hpc.evaluation.figures.ghost_error import GHOST_FIGURES
from pconv_hpc.evaluation.figures.hole_error import FIGURES
from pconv_hpc.evaluation.measuring import baselines
from pconv_hpc.evaluation.measuring.results import Results
from pconv_hpc.evaluation.run import EvaluationSettings, evaluate
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.sample_photos import sample_photos
from tests.support.evaluation_files import random_lpips_arrays, write_network, write_photos
from tests.support.mask_folders import make_mask_folder
from tests.support.packed_crops import write_pack


def run(out: Path, images: Path, **settings: Any) -> Results:
    """Evaluate the mean fill, on boxes, unless told otherwise."""
    values = {"masks": ["boxes"], "baselines": ["mean"], "size": 48, **settings}
    results = evaluate(EvaluationSettings(images=images, out=out, **values), World({}))
    assert results is not None
    return results


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("evaluation") / "photos")


def test_baselines_on_a_folder(photos: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "lpips.npz", **random_lpips_arrays(0))
    names = ["telea", "navier_stokes", "fsr", "patchmatch", "biharmonic", "mean"]
    results = run(
        tmp_path / "out",
        photos,
        baselines=names,
        masks=["strokes", "boxes", "objects"],
        masks_per_photo=2,
        lpips=[tmp_path / "lpips.npz"],
        num_ghost_photos=3,
    )
    assert len(results.holes) == 6 * 3 * 2 * 7
    assert len(results.ghosts) == 6 * 4 * 3
    assert sorted({ghost.photo for ghost in results.ghosts}) == [2, 4, 6]
    overall = {
        (row["masks"], row["method"]): row for row in results.by_hole_ratio if row["hole"] == "all"
    }
    assert len(overall) == 18
    for masks in ("strokes", "boxes", "objects"):
        mean, telea = overall[masks, "mean"], overall[masks, "telea"]
        assert telea["l1"] < mean["l1"]
        assert telea["psnr"] > mean["psnr"]
        assert overall[masks, "patchmatch"]["texture"] > mean["texture"]
        assert all(telea[figure] is not None for figure in (*FIGURES, "photo_texture"))
    shapes = {(row["method"], row["shape"]): row for row in results.ghosting}
    assert shapes["telea", "dilate"]["l1"] < shapes["mean", "dilate"]["l1"]
    assert shapes["telea", "box"]["hole_ratio"] > shapes["telea", "exact"]["hole_ratio"]
    report = (tmp_path / "out" / "report.html").read_text()
    for text in ("Ghosting", "LPIPS, masks: objects", "strokes, worst: ", "touching", "telea"):
        assert text in report
    assert "contact_sheet_1.png, contact_sheet_2.png" in report
    assert report.count("<img") == 2 + 3 * 3 * 3 + 3 * 4
    tables = (tmp_path / "out" / "tables.md").read_text()
    for text in ("## Masks: objects", "| 10%–20% | fsr |", "the photo itself", "## Ghosts"):
        assert text in tables


def test_photos_keep_their_own_size(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, shape in {"wide": (40, 90), "tall": (70, 36), "small": (20, 20)}.items():
        photo = np.resize(sample_photos()["cat"], (*shape, 3))
        Image.fromarray(photo).save(photos / f"{name}.png")
    shown = []

    def fill(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
        assert photo.shape[:2] == hole.shape
        shown.append(photo.shape[:2])
        return baselines.fill_mean(photo, hole)

    settings = {"size": None, "masks_per_photo": 2, "num_ghost_photos": 3, "num_sheet_photos": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(baselines.BASELINES, "mean", fill)
        results = run(tmp_path / "own", photos, **settings)
        assert set(shown) == {(40, 90), (70, 36)}
        shown.clear()
        run(tmp_path / "bounded", photos, max_side=80, num_ghost_photos=0, size=None)
        assert set(shown) == {(36, 80), (70, 36)}
    assert results.conditions["image_size"] is None
    [left_out] = results.conditions["left_out"]
    assert left_out["reason"] == "20 x 20 pixels; expected at least 32 a side"
    assert "at their own size" in (tmp_path / "own" / "report.html").read_text()


def test_the_files_hold_what_was_measured(photos: Path, tmp_path: Path) -> None:
    results = run(tmp_path, photos, num_ghost_photos=2)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["format"] == "pconv_hpc evaluation"
    assert written["num_photos"] == 7
    assert written["by_hole_ratio"] == results.by_hole_ratio
    assert written["ghosting"] == results.ghosting
    assert set(GHOST_FIGURES) < set(written["ghosting"][0])
    assert written["has_lpips"] is False
    with open(tmp_path / "errors.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert np.mean([float(row["l1"]) for row in rows]) == pytest.approx(
        written["by_hole_ratio"][-1]["l1"], rel=1e-5
    )
    assert {row["lpips"] for row in rows} == {""}
    with open(tmp_path / "ghosting.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 4


def test_a_method_alone_has_no_figures_over_the_easier_holes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"baselines": ["biharmonic"], "masks_per_photo": 6, "num_ghost_photos": 3}
    monkeypatch.setattr(baselines, "MAX_BIHARMONIC_PIXELS", 300)  # of 48 x 48: 13%
    results = run(tmp_path, photos, **settings)
    assert {row["hole"] for row in results.by_hole_ratio} == {"1%–10%"}
    assert any(error.hole_ratio > 0.1 for error in results.holes)
    monkeypatch.setattr(baselines, "MAX_BIHARMONIC_PIXELS", 130)  # in no bin all of them
    results = run(tmp_path, photos, **settings)
    assert results.holes
    assert results.by_hole_ratio == results.ghosting == []
    assert (tmp_path / "results.json").is_file()
    monkeypatch.setattr(baselines, "MAX_BIHARMONIC_PIXELS", 0)
    with pytest.raises(UsageError, match="biharmonic: filled none of the 42 holes"):
        run(tmp_path, photos, **settings)
    assert not (tmp_path / "results.json").exists()


def test_the_seed_decides(photos: Path, tmp_path: Path) -> None:
    first, again = (run(tmp_path / "a", photos, num_ghost_photos=1) for _ in range(2))
    assert (first.holes, first.ghosts) == (again.holes, again.ghosts)
    other = run(tmp_path / "b", photos, num_ghost_photos=1, seed=5)
    assert other.holes != first.holes
    assert other.ghosts != first.ghosts


@pytest.mark.parametrize(
    ("fill", "methods"),
    [
        ("erase", ["first, patches", "first alone", "second, patches", "second alone"]),
        ("one-pass", ["first, one pass", "second, one pass"]),
    ],
)
def test_networks_side_by_side(photos: Path, tmp_path: Path, fill: str, methods: list[str]) -> None:
    weights = [write_network(tmp_path / name / "weights.h5") for name in ("first", "second")]
    settings = {"weights": weights, "size": None, "fill": fill, "num_ghost_photos": 1}
    if fill == "erase":
        settings["detail"] = ["patches", "none"]
    results = run(tmp_path / "out", photos, masks=["strokes"], **settings)
    assert results.conditions["image_size"] == (32 if fill == "one-pass" else None)
    assert results.conditions["methods"] == [*methods, "mean"]
    networks = results.conditions["networks"]
    assert [networks[name]["working_size"] for name in ("first", "second")] == [32, 32]
    by_method = {
        row["method"]: row["psnr"] for row in results.by_hole_ratio if row["hole"] == "all"
    }
    assert list(by_method) == [*methods, "mean"]
    assert by_method[methods[0]] != by_method[methods[-1]] != by_method["mean"]


def test_a_baseline_that_cannot_run_is_named_and_left_out(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delattr(cv2, "xphoto")
    results = run(tmp_path, photos, baselines=["fsr", "mean"], num_photos=1, num_ghost_photos=0)
    assert results.conditions["methods"] == ["mean"]
    assert "opencv-contrib-python-headless" in results.conditions["absent"]["fsr"]
    assert "fsr: left out, this OpenCV lacks its extra modules" in capfd.readouterr().err
    assert "absent    fsr: " in (tmp_path / "report.html").read_text()
    with pytest.raises(UsageError, match="nothing to evaluate"):
        run(tmp_path, photos, baselines=["fsr"])


def test_bad_input_leaves_earlier_results_alone(photos: Path, tmp_path: Path) -> None:
    run(tmp_path, photos, num_photos=1, num_ghost_photos=0)
    with pytest.raises(UsageError):
        run(tmp_path, photos, baselines=[])
    assert (tmp_path / "results.json").is_file()


@pytest.mark.parametrize("drawn", [True, False], ids=["figures", "objects"])
def test_a_file_in_place_of_the_folder_is_named(photos: Path, tmp_path: Path, drawn: bool) -> None:
    objects_from = None if drawn else make_mask_folder(tmp_path / "objects")
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(PconvError, match=rf"{out}: cannot be written"):
            run(out, photos, num_photos=1, objects_from=objects_from)


def test_results_that_cannot_be_written_are_named(photos: Path, tmp_path: Path) -> None:
    for name in ("report.html", "errors.csv"):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(PconvError, match="cannot be written"):
            run(tmp_path / name, photos, num_photos=1, num_ghost_photos=0)
        assert not (tmp_path / name / "results.json").exists()


def test_a_pack_is_measured_on(tmp_path: Path) -> None:
    index = write_pack(tmp_path / "pack", split="val", num_images=9, num_shards=2, seed=3)
    results = run(tmp_path / "out", index, size=32, num_photos=5, num_ghost_photos=0)
    assert [error.photo for error in results.holes] == list(range(5))
    assert results.ghosts == ()
    assert "Ghosting" not in (tmp_path / "out" / "report.html").read_text()


def test_unreadable_photos_are_left_out_and_named(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    (photos / "broken.jpg").write_bytes(b"no photo")
    results = run(tmp_path / "out", photos)
    assert results.conditions["num_photos"] == 7
    [left_out] = results.conditions["left_out"]
    assert left_out["photo"] == "broken.jpg"
    assert "broken.jpg: " in (tmp_path / "out" / "report.html").read_text()


def test_one_photo_is_enough(photos: Path, tmp_path: Path) -> None:
    results = run(tmp_path, photos, num_photos=1)
    assert len(results.ghosts) == 4


def test_being_stopped_leaves_no_results(photos: Path, tmp_path: Path) -> None:
    run(tmp_path, photos, num_ghost_photos=0)
    settings = EvaluationSettings(
        images=photos, out=tmp_path, masks=["boxes"], baselines=["mean"], size=48
    )
    with pytest.raises(Interrupted):
        evaluate(settings, World({}), should_stop=lambda: True)
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baselines": []}, "nothing to evaluate"),
        ({"size": 16}, "at least 32"),
        ({"seed": -1}, "not negative"),
        ({"masks": ["circles"]}, "neither a kind of masks"),
        ({"objects_from": Path("none"), "masks": ["objects"]}, "none: no such"),
        ({"lpips": [Path("none.npz")]}, "none.npz"),
        ({"weights": [Path("none.h5")]}, "none.h5"),
        ({"fill": "one-pass", "working_size": 64}, "--fill one-pass gives networks whole photos"),
        ({"fill": "one-pass", "detail": ["none"]}, "--detail .*: --fill one-pass gives networks"),
        ({"max_side": 20}, "--max-side 20: expected 32 to 8192"),
        ({"max_side": 10_000}, "--max-side 10000: expected 32 to 8192"),
    ],
)
def test_bad_settings_are_named(
    photos: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, photos, **settings)


def test_a_folder_of_broken_photos_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(UsageError, match=r"none of the 1 photos can be read; the first: a\.jpg"):
        run(tmp_path / "out", tmp_path / "photos")
