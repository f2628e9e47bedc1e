"""tools/segment.py as people run it, with the small real Mask R-CNN: clicks, classes, signals."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.erasing.folder.ledger import read_slice
from pconv_hpc.photos.formats.photo_files import read_mask
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances
from tests.support.assets.shape_photos import CLASSES, ShapePhoto, ShapePhotos
from tests.support.paths import ASSETS, REPOSITORY

NETWORK = (
    "--config",
    ASSETS / "small_mask_rcnn.py",
    "--checkpoint",
    ASSETS / "small_mask_rcnn.pth",
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
UNSEEN = ShapePhotos(seed=501, held_out=True)

# Runs the program, then says which of the modules it must do without it imported all the same.
_WATCHED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    names = {"tensorflow", "keras", "horovod", "torch", "mmdet"} & set(sys.modules)
    print("imported:", *sorted(names))
"""


def segment(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    program = (sys.executable, "-c", _WATCHED, REPOSITORY / "tools" / "segment.py")
    return subprocess.run(
        [str(word) for word in (*program, *arguments)],
        env=ENVIRONMENT | {"PYTHONPATH": str(REPOSITORY)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )


def write_photos(folder: Path, photos: Sequence[ShapePhoto]) -> None:
    folder.mkdir()
    for index, photo in enumerate(photos):
        Image.fromarray(photo.image).save(folder / f"{index}.png")


def photos_with(classes: set[str], count: int) -> list[ShapePhoto]:
    """Return unseen photos with several shapes that show all of ``classes``."""
    found = []
    for index in range(100):
        photo = UNSEEN[index]
        shown = [CLASSES[label] for label in photo.labels]
        if classes <= set(shown) and len(shown) > 1:
            found.append(photo)
        if len(found) == count:
            return found
    raise AssertionError("expected more such photos")


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def point_in(mask: np.ndarray) -> str:
    rows, columns = np.nonzero(mask)
    middle = len(rows) // 2
    return f"{columns[middle]},{rows[middle]}"


def selected_classes(found: PhotoInstances) -> list[str]:
    return [found.instances[index].class_name for index in found.selected]


def test_classes_and_a_bad_photo_and_no_tensorflow(tmp_path: Path) -> None:
    photos = photos_with({"square"}, 3)
    write_photos(tmp_path / "photos", photos)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no photo")
    done = segment(
        *(tmp_path / "photos", tmp_path / "out", *NETWORK),
        *("--classes", "Square", "--mask", "exact", "--ledger", tmp_path / "2026-ledger.jsonl"),
    )
    assert done.returncode == 1
    assert "1 failed, 3 segmented" in done.stdout
    assert f"failed: {tmp_path}/photos/bad.jpg: not an image" in done.stderr
    assert "Traceback" not in done.stderr
    assert "imported: mmdet torch\n" in done.stdout  # and neither TensorFlow nor Keras
    for index, photo in enumerate(photos):
        found = read_instances(tmp_path / "out" / "instances" / f"{index}.png.json")
        assert set(selected_classes(found)) == {"square"}
        mask = read_mask(tmp_path / "out" / "masks" / f"{index}.png.png").hole
        squares = photo.masks[photo.labels == CLASSES.index("square")].any(axis=0)
        assert overlap(mask, squares) > 0.7
    outcomes = read_slice(tmp_path).outcomes
    assert outcomes["bad.jpg"].reason == "not an image in a supported format"
    for index in range(3):
        found = read_instances(tmp_path / "out" / "instances" / f"{index}.png.json")
        assert outcomes[f"{index}.png"].status == "found"
        assert outcomes[f"{index}.png"].classes == {"square": len(found.selected)}


def test_click_largest_table_and_overlay(tmp_path: Path) -> None:
    clicked, largest, listed = photos_with({"circle", "star"}, 3)
    write_photos(tmp_path / "photos", [clicked, largest, listed])
    (tmp_path / "choices.csv").write_text(
        f'image,click,class\n0.png,"{point_in(clicked.masks[0])}",\n2.png,,circle\n'
    )
    done = segment(
        tmp_path / "photos",
        tmp_path / "out",
        *NETWORK,
        *("--choices", tmp_path / "choices.csv", "--largest", "--mask", "exact", "--overlay"),
    )
    assert done.returncode == 0, done.stderr
    masks = [read_mask(tmp_path / "out" / "masks" / f"{index}.png.png").hole for index in range(3)]
    assert overlap(masks[0], clicked.masks[0]) > 0.7
    assert overlap(masks[1], max(largest.masks, key=np.sum)) > 0.7
    circles = listed.masks[listed.labels == CLASSES.index("circle")].any(axis=0)
    assert overlap(masks[2], circles) > 0.7
    for index in range(3):
        with Image.open(tmp_path / "out" / "overlays" / f"{index}.png.jpg") as overlay:
            assert overlay.size == (192, 192)


def test_bad_requests_end_before_or_with_a_message(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [UNSEEN[0]])
    photos, out = tmp_path / "photos", tmp_path / "out"
    unknown_class = segment(photos, out, *NETWORK, "--classes", "person")
    assert unknown_class.returncode == 2
    assert "this network knows: circle, square, star" in unknown_class.stderr
    outside = segment(photos / "0.png", out, *NETWORK, "--click", "500,20")
    assert outside.returncode == 1
    assert "outside the photo of 192 x 192" in outside.stderr
    assert list((out / "masks").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--click", "12"), "expected a point: x,y"),
        (("--box", "1,2,3"), "expected a box"),
        (("--min-score", "2"), "--min-score must be between 0 and 1"),
        (("--dilate", "-1"), "--dilate must be at least 0, found -1"),
        (("--largest", "0"), "--largest must be at least 1, found 0"),
        (("--choices", "none.csv"), "none.csv: cannot be read"),
        (("--files-from", "none.txt"), "none.txt: cannot be read"),
        (("--checkpoint", "none.pth"), "none.pth: no such checkpoint"),
        ((), "pconv-hpc fetch-weights mask_rcnn"),
    ],
)
def test_usage_errors(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    done = segment("photos", "out", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_table_of_choices_must_fit_the_folder(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [UNSEEN[0]])
    (tmp_path / "choices.csv").write_text("image,number\n0.png,1\nother.png,1\n")
    done = segment(tmp_path / "photos", tmp_path / "out", "--choices", tmp_path / "choices.csv")
    assert done.returncode == 2
    assert "choices.csv, line 3: no photo other.png in" in done.stderr
    one = (tmp_path / "photos" / "0.png", tmp_path / "out", "--dry-run", "--choices")
    done = segment(*one, tmp_path / "choices.csv")
    assert done.returncode == 2
    assert "other.png" in done.stderr
    (tmp_path / "photos" / "other.png").touch()
    done = segment(*one, tmp_path / "choices.csv")
    assert done.returncode == 0, done.stderr


def test_dry_run_lists_the_photos_and_imports_no_network(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [UNSEEN[0], UNSEEN[1]])
    (tmp_path / "list.txt").write_text("1.png\n")
    done = segment(
        tmp_path / "photos", tmp_path / "out", "--files-from", tmp_path / "list.txt", "--dry-run"
    )
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path}/photos/1.png\nimported:\n"
    assert not (tmp_path / "out").exists()


def test_signal_ends_with_75_and_the_same_command_continues(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", [UNSEEN[index] for index in range(4)])
    images = [f"{index % 4}.png" for index in range(4)]
    for index in range(4, 400):  # links: enough work to be interrupted, few bytes
        (tmp_path / "photos" / f"{index}.png").symlink_to(images[index % 4])
    command = [
        *(
            sys.executable,
            REPOSITORY / "tools" / "segment.py",
            tmp_path / "photos",
            tmp_path / "out",
        ),
        *(*NETWORK, "--all", "--threads", "2"),
    ]
    process = subprocess.Popen(
        [str(word) for word in command], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    instances = tmp_path / "out" / "instances"
    deadline = time.monotonic() + 240
    while not (instances.exists() and any(instances.iterdir())):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR2)  # what Slurm sends before the walltime
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 75
    assert "stopped by SIGUSR2" in errors
    finished = sorted(path.name for path in instances.iterdir())
    assert 0 < len(finished) < 400
    assert not any(name.startswith(".") for name in finished)
    for name in finished:
        found = read_instances(instances / name)
        mask = tmp_path / "out" / "masks" / f"{name.removesuffix('.json')}.png"
        assert mask.exists() == bool(found.selected)

    (tmp_path / "list.txt").write_text(
        "\n".join([*(name.removesuffix(".json") for name in finished[:3]), "399.png", ""])
    )
    continued = segment(
        *(tmp_path / "photos", tmp_path / "out", *NETWORK, "--all"),
        *("--files-from", tmp_path / "list.txt"),
    )
    assert continued.returncode == 0, continued.stderr
    skipped = min(3, len(finished))
    assert continued.stdout.startswith(f"1 segmented, {skipped} skipped\n")


def test_photos_in_a_tar_file_are_read_in_place(tmp_path: Path) -> None:
    photos = photos_with({"star"}, 2)
    write_photos(tmp_path / "photos", photos)
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(tmp_path / "photos", "a")
    shown = segment("photos.tar", "out", *NETWORK, "--dry-run", cwd=tmp_path)
    assert shown.stdout.splitlines()[:2] == ["photos.tar/a/0.png", "photos.tar/a/1.png"]
    assert not (tmp_path / "out").exists()
    for status in ("segmented", "skipped"):
        done = segment("photos.tar", "out", *NETWORK, "--classes", "star", cwd=tmp_path)
        assert f"2 {status}" in done.stdout, done.stderr
    for index, photo in enumerate(photos):
        mask = read_mask(tmp_path / "out" / "masks" / "a" / f"{index}.png.png").hole
        assert (mask & photo.masks[photo.labels == CLASSES.index("star")].any(axis=0)).any()
    (tmp_path / "table.csv").write_text("image,number\na/9.png,1\n")
    wrong = segment("photos.tar", "out", *NETWORK, "--choices", "table.csv", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "line 2: no photo a/9.png in photos.tar; the nearest is a/" in wrong.stderr
