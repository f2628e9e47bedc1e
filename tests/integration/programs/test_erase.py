"""tools/erase.py as people run it, with the small real Mask R-CNN and an untrained inpainter."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.photos.formats.photo_files import read_mask
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY
from tests.support.waiting import end_of, wait_until

TOOL = REPOSITORY / "tools" / "erase.py"
NETWORK = (
    *("--config", ASSETS / "small_mask_rcnn.py"),
    *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
PHOTO = ShapePhotos(seed=501, held_out=True)[1]  # two squares and a star


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "w.h5", image_size=64)


def erase(
    *arguments: object, answers: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, arguments)],
        input=answers,
        env=ENVIRONMENT,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def differences(before: Path, after: Path) -> np.ndarray:
    a, b = (np.asarray(Image.open(path)) for path in (before, after))
    return (a != b).any(axis=-1)


def middle_of(label: str) -> tuple[int, int]:
    mask = PHOTO.masks[list(PHOTO.labels).index(CLASSES.index(label))]
    rows, columns = np.nonzero(mask)
    return int(columns.mean()), int(rows.mean())


def test_a_selection_is_erased_beside_the_photo_and_nothing_else(
    tmp_path: Path, weights: Path
) -> None:
    photo = tmp_path / "-odd name.png"
    Image.fromarray(PHOTO.image).save(photo)
    arguments = ("./-odd name.png", "--weights", weights, *NETWORK, "--classes", "Star")
    done = erase(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "written: -odd name_erased.png"
    changed = differences(photo, tmp_path / "-odd name_erased.png")
    x, y = middle_of("star")
    assert changed[y, x]
    for mask, label in zip(PHOTO.masks, PHOTO.labels, strict=True):
        if CLASSES[label] == "square":
            assert not changed[mask].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "-odd name.png",
        "-odd name_erased.png",
    ]

    again = erase(*arguments, cwd=tmp_path)
    assert again.returncode == 2
    assert "already exists; pass --overwrite" in again.stderr


def test_answers_are_erased_one_after_the_other(tmp_path: Path, weights: Path) -> None:
    photo, result, work = tmp_path / "a.png", tmp_path / "out" / "a.png", tmp_path / "work"
    Image.fromarray(PHOTO.image).save(photo)
    programs = tmp_path / "bin"
    programs.mkdir()
    viewer = programs / "xdg-open"
    viewer.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/shown.jpg\n')
    viewer.chmod(0o755)
    x, y = middle_of("star")
    process = subprocess.Popen(
        [
            *(sys.executable, TOOL, photo, tmp_path / "out", "--weights", weights, *NETWORK),
            *("--show", "--work", work, "--mask", "exact"),
        ],
        env=ENVIRONMENT | {"PATH": f"{programs}:{os.environ['PATH']}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    shown = [process.stdout.readline() for _ in range(5)]
    assert shown[0].split() == ["number", "class", "score", "box"]
    assert sorted(line.split()[1] for line in shown[1:4]) == ["square", "square", "star"]
    assert str(work / "found/overlays/a.png.jpg") in shown[4]

    process.stdin.write(f"{x},{y}\n")
    process.stdin.flush()
    assert "star" in process.stdout.readline()
    assert process.stdout.readline() == f"written: {result}\n"
    first = differences(photo, result)
    stdout, stderr = process.communicate("1\n")
    assert process.returncode == 0, stderr
    assert "square" in stdout.splitlines()[0]
    second = differences(photo, result)
    mask = read_mask(work / "found/masks/a.png.png").hole
    assert (first <= second).mean() > 0.99
    assert first.sum() + 200 < second.sum()  # the star is still erased, and a square too
    assert not second[~mask].any()
    for picture in (tmp_path / "shown.jpg", work / "found/overlays/a.png.jpg"):
        assert Image.open(picture).size == (192, 192)


def test_several_photos_are_several_photos_and_none_is_a_result(
    tmp_path: Path, weights: Path
) -> None:
    """A shell's ``*.png`` must not cost the last photo; the others' failures are their own."""
    names = ("a.png", "b.png", "c.png")
    for name in names[:2]:
        Image.fromarray(PHOTO.image).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no photo")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    options = ("--weights", weights, *NETWORK, "--classes", "star", "--detail", "none")
    for words in (names[:2], names):
        refused = erase(*words, *options, "--overwrite", cwd=tmp_path)
        assert refused.returncode == 2
        assert f"pconv-hpc erase {' '.join(words)}" in refused.stderr
    table = tmp_path / "nothing in b.csv"
    table.write_text("image\nb.png\n")
    done = erase(*names, "out/", *options, "--choices", table, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "c.png: not an image" in done.stderr
    assert "1 with nothing to erase (copied): b.png" in done.stdout
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert differences(tmp_path / "a.png", tmp_path / "out/a.png").any()
    assert (tmp_path / "out/b.png").read_bytes() == before["b.png"]


def test_quitting_erases_nothing_and_a_wrong_answer_of_a_script_is_an_error(
    tmp_path: Path, weights: Path
) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(PHOTO.image).save(photo)
    quitting = erase(photo, "--weights", weights, *NETWORK, answers="\n")
    assert quitting.returncode == 0, quitting.stderr
    assert "nothing was erased" in quitting.stdout
    wrong = erase(photo, "--weights", weights, *NETWORK, answers="7\n")
    assert wrong.returncode == 2
    assert "no instance 7; 3 objects found" in wrong.stderr
    assert not (tmp_path / "a_erased.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png",), "none.png: no such file or folder"),
        (("a.png", "--weights", "nowhere.h5"), "nowhere.h5: no such weights file"),
        (("a.png", "--weights", "w", "--context", "0"), "--context must be between"),
        (("a.png", "--weights", "W", "--checkpoint", "no.pth"), "no.pth: no such checkpoint"),
        (("a.png", "--config", "no", "--checkpoint", "t.csv"), "no configuration of that name"),
        (("a.png", "--weights", "W", "--choices", "no.csv"), "no.csv"),
        (("t.csv", "--weights", "W", "--all"), "t.csv: not an image"),
        (("a.png", "--working-size", "4", "--all"), "--working-size must be between 8 and 4096"),
        (("a.png", "--weights", "t.csv", "--all"), "t.csv: not a readable HDF5 file"),
        (("folder", "out", "--working-size=4", "--all"), "--working-size must be between"),
        (("folder", "out", "--weights", "t.csv", "--all"), "t.csv: not a readable HDF5 file"),
        (("a.png", "b.jpg", "--weights", "W"), "a result has its photo's format"),
        (("a.png", "--weights", "W", "--tasks", "3"), "--tasks is for a folder"),
        (("a.png", "--weights", "W", "--partition", "x"), "--partition is for a folder"),
        (("folder", "out", "--weights", "W", "--show"), "--show is for one photo"),
        (("folder", "--weights", "W", "--all"), "expected FOLDER OUT"),
        (("folder", "out", "--weights", "W"), "nothing is selected"),
        (("folder", "out", "--weights", "W", "--all", "--checkpoint", "no.pth"), "no.pth: no such"),
        (("folder", "out", "--weights", "W", "--all", "--choices", "no.csv"), "no.csv"),
        (("folder", "out", "--weights", "W", "--choices", "t.csv"), "line 2: no photo other.png"),
        (("folder", "folder", "--weights", "W", "--all"), "a folder of their own"),
        (("folder", "a.png/x", "--weights", "W", "--all", "--local"), "a.png: not a folder"),
        (("folder", "out", "--weights", "W", "--all", "--sbatch", "array=1"), "--tasks"),
        (("folder", "out", "--weights", "W", "--all", "--local", "--time=1"), "--time is for S"),
        (("folder", "out", "--all", "--local", "--max-running=1"), "--max-running is for Slurm"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    tmp_path: Path,
    weights: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(PHOTO.image).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("image,number\nother.png,1\n")
    (tmp_path / "folder").mkdir()
    Image.fromarray(PHOTO.image).save(tmp_path / "folder" / "a.png")
    words = [str(weights) if word == "W" else word for word in arguments]
    if "--checkpoint" not in words:
        words += map(str, NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["erase.py", *words])
    with pytest.raises(SystemExit) as ended:  # in this process, whose imports are done
        runpy.run_path(str(TOOL), run_name="__main__")
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "folder", "t.csv"]


def test_a_signal_ends_it_without_a_result(tmp_path: Path, weights: Path) -> None:
    photo, work = tmp_path / "a.png", tmp_path / "work"
    Image.fromarray(PHOTO.image).save(photo)
    process = subprocess.Popen(
        [sys.executable, TOOL, photo, "--weights", weights, *NETWORK, "--all", "--work", work],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((work / "segment.log").exists, process)
    process.send_signal(signal.SIGTERM)
    _, stderr = end_of(process)
    assert process.returncode == 75, stderr
    assert "stopped by SIGTERM" in stderr
    assert not (tmp_path / "a_erased.png").exists()


def write_folder(folder: Path, count: int) -> None:
    """Write photos with shapes, one of them damaged, in subfolders with odd names."""
    supply = ShapePhotos(seed=501, held_out=True)
    for index in range(count):
        path = folder / f"sub {index % 3}" / f"-{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(supply[index].image).save(path)
    (folder / os.fsdecode(b"odd \xff\n.jpg")).write_bytes(b"no photo")


_DRY_RUN = """\
photos      7 in {folder}/my photos
results     {folder}/an out
slices      2, about 4 photos each
to do       0-1
found by    {root}/tests/support/assets/small_mask_rcnn.pth
selection   classes star
filled by   {weights}
filling     context 1.5
resources   by default
the others  photos with nothing to erase are left out
command     none: the slices are done here
"""


def test_a_dry_run_says_what_would_be_done_here_and_writes_nothing(
    tmp_path: Path, weights: Path
) -> None:
    write_folder(tmp_path / "my photos", 6)
    done = erase(
        *("my photos", "an out", "--weights", weights, *NETWORK, "--classes=star"),
        *("--tasks", 2, "--context", 1.5, "--empty", "skip", "--local", "--dry-run"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == _DRY_RUN.format(folder=tmp_path, root=REPOSITORY, weights=weights)
    assert [path.name for path in tmp_path.iterdir()] == ["my photos"]


def test_a_folder_is_interrupted_and_continued_and_every_photo_accounted_for(
    tmp_path: Path, weights: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_folder(photos, 12)
    work = [photos, out, "--weights", weights, *NETWORK, "--classes", "star", "--local"]
    process = subprocess.Popen(
        [sys.executable, TOOL, *map(str, work), "--tasks", "1"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list((out / "found").rglob("*.json")), process)
    process.send_signal(signal.SIGINT)
    _, stderr = end_of(process)
    assert process.returncode == 75, stderr
    assert "stopped by SIGINT; run the same command again to continue" in stderr
    assert "Traceback" not in stderr
    found = {path: path.stat().st_mtime_ns for path in (out / "found").rglob("*.json")}

    rest = erase(photos, out, "--local")  # with the settings that were recorded
    assert rest.returncode == 1, rest.stderr
    assert "failed: odd \\xff\n.jpg: not an image in a supported format" in rest.stderr
    assert " 13/13" not in rest.stderr
    assert " 12/13" in rest.stderr
    assert "why failed  1 not an image" in rest.stdout
    assert {path: path.stat().st_mtime_ns for path in found} == found  # nothing was found twice
    for path in photos.rglob("*.png"):
        result = out / "erased" / path.relative_to(photos)
        mask = out / "found" / "masks" / f"{path.relative_to(photos)}.png"
        if mask.exists():
            assert not differences(path, result)[~read_mask(mask).hole].any()
        else:
            assert result.read_bytes() == path.read_bytes()
    report = (out / "report.html").read_text()
    assert report.count('src="data:image/jpeg') > 12
    assert "sub 0/-3.png" in report
    assert "odd \\xff" in report

    other = erase(*work, "--classes", "circle")
    assert other.returncode == 2
    assert "classes: star, now circle" in other.stderr
    other = erase(photos, out, "--empty", "skip", "--local")
    assert other.returncode == 2
    assert "empty: copy, now skip" in other.stderr
    recorded = (out / "manifest.json").read_bytes()
    rest = erase(photos, out, "--weights", weights, "--threads", 2, "--local", "--dry-run")
    assert rest.returncode == 0, rest.stderr
    assert (out / "manifest.json").read_bytes() == recorded


def test_what_a_stage_refuses_is_told_here(tmp_path: Path, weights: Path) -> None:
    write_folder(tmp_path / "photos", 1)
    arguments = (tmp_path / "photos", tmp_path / "out", "--weights", weights, *NETWORK)
    done = erase(*arguments, "--classes", "person", "--local")
    assert done.returncode == 2
    assert "error: unknown class person; this network knows: circle, square, star" in done.stderr
