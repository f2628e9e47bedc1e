"""tools/harvest_masks.py as people run it: ranks, packs, signals, kill -9, bad requests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.harvest.parts import num_lines
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.masks.silhouette_file import SilhouetteFile
from tests.support.assets.shape_photos import ShapePhotos
from tests.support.paths import ASSETS, REPOSITORY

NETWORK = (
    *("--config", ASSETS / "small_mask_rcnn.py"),
    *("--checkpoint", ASSETS / "small_mask_rcnn.pth"),
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
UNSEEN = ShapePhotos(seed=321, held_out=True)
# Runs the program, then says which of the modules it may do without it imported.
_WATCHED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("imported:", *sorted({"tensorflow", "keras", "torch", "mpi4py"} & set(sys.modules)))
"""


def command(tool: str, *arguments: object, num_ranks: int = 1) -> list[str]:
    words = [sys.executable, "-c", _WATCHED, REPOSITORY / "tools" / f"{tool}.py", *arguments]
    texts = [str(word) for word in words]
    return texts if num_ranks == 1 else mpirun_command(num_ranks, texts)


def run(words: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=ENVIRONMENT, cwd=cwd, capture_output=True, text=True, timeout=300
    )


def harvest(*arguments: object, num_ranks: int = 1) -> subprocess.CompletedProcess[str]:
    return run(command("harvest_masks", *arguments, num_ranks=num_ranks))


def write_photos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        Image.fromarray(UNSEEN[index].image).save(folder / f"{index:03}.png")
    return folder


@pytest.mark.mpi
def test_two_ranks_write_what_one_writes_and_masks_are_drawn_from_it(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 40)
    (photos / "bad.jpg").write_bytes(b"no photo")
    picture = tmp_path / "sheet.png"
    alone = harvest(photos, tmp_path / "one.h5", *NETWORK, "--contact-sheet", picture)
    assert alone.returncode == 0, alone.stderr
    assert "imported: torch\n" in alone.stdout
    assert "left out bad.jpg: not an image" in alone.stderr
    assert "star" in alone.stdout
    with Image.open(picture) as sheet:
        assert sheet.size[0] > 300
    together = harvest(photos, tmp_path / "two.h5", *NETWORK, num_ranks=2)
    assert together.returncode == 0, together.stderr
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("one.h5", "photos", "sheet.png", "two.h5")
    ]
    draw_bank(
        tmp_path / "bank.h5",
        num_masks=12,
        size=64,
        style_weights={"objects": 1.0},
        objects_from=tmp_path / "two.h5",
    )
    assert (MaskBank(tmp_path / "bank.h5").hole_ratios > 0).all()


def test_a_pack_and_the_classes_of_what_segment_found_before(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 8)
    packing = (photos, tmp_path / "packed", "--split", "train", "--size", "192")
    assert run(command("pack", *packing)).returncode == 0
    packed = harvest(
        *(tmp_path / "packed" / "index.json", tmp_path / "pack.h5", *NETWORK),
        *("--classes", "Star, circle"),
    )
    assert packed.returncode == 0, packed.stderr
    from_pack = SilhouetteFile(tmp_path / "pack.h5")
    assert set(from_pack.class_names) <= {"circle", "star"}

    found = run(command("segment", tmp_path / "packed", tmp_path / "found", *NETWORK))
    assert "8 segmented" in found.stdout
    options = ("--from-instances", "--classes", "star,circle")
    again = harvest(tmp_path / "found" / "instances", tmp_path / "found.h5", *options)
    assert again.returncode == 0, again.stderr
    assert "imported:\n" in again.stdout  # no network
    from_files = SilhouetteFile(tmp_path / "found.h5")
    assert from_files.num_silhouettes == from_pack.num_silhouettes
    for index in range(from_files.num_silhouettes):
        assert from_files.photo(index) == from_pack.photo(index)
        np.testing.assert_array_equal(from_files.sizes[index], from_pack.sizes[index])
        np.testing.assert_array_equal(from_files.shape(index), from_pack.shape(index))
    too_low = harvest(
        *(tmp_path / "found" / "instances", tmp_path / "low.h5", "--from-instances"),
        *("--min-score", "0.1"),
    )
    assert too_low.returncode == 2
    assert "objects below a score of 0.3 were not recorded" in too_low.stderr


def wait_for_a_block(process: subprocess.Popen[str], parts: Path) -> None:
    deadline = time.monotonic() + 240
    while not num_lines(parts):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_signals_and_kills_cost_no_more_than_blocks_that_were_begun(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 8)
    for index in range(8, 200):  # links: enough work to be interrupted, few bytes
        (photos / f"{index:03}.png").symlink_to(f"{index % 8:03}.png")
    out, parts = tmp_path / "objects.h5", tmp_path / "objects.h5.parts"
    words = command("harvest_masks", photos, out, *NETWORK)

    process = subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    wait_for_a_block(process, parts)
    process.kill()
    process.communicate()
    num_done = num_lines(parts)
    assert num_done >= 1
    assert (parts / "lock").exists()  # of a process that is gone

    process = subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while num_lines(parts) <= num_done:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    busy = harvest(photos, out, *NETWORK)
    assert busy.returncode == 2
    assert "locked by process" in busy.stderr
    process.send_signal(signal.SIGUSR2)  # what Slurm sends before the walltime
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 75, errors
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    assert not out.exists()
    shown = harvest(photos, out, "--dry-run")
    assert "200 of 200 photos, in 13 blocks of which" in shown.stdout
    assert f"{num_lines(parts)} are done" in shown.stdout

    continued = harvest(photos, out, *NETWORK)
    assert continued.returncode == 0, continued.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["objects.h5", "photos"]
    for index in range(8, 200):
        (photos / f"{index:03}.png").unlink()
    few = harvest(photos, tmp_path / "few.h5", *NETWORK)
    assert few.returncode == 0, few.stderr
    one, other = SilhouetteFile(out), SilhouetteFile(tmp_path / "few.h5")
    assert one.num_silhouettes == other.num_silhouettes  # each of 200 photos is one of these 8
    for index in range(one.num_silhouettes):
        np.testing.assert_array_equal(one.shape(index), other.shape(index))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "."), ".: is a folder; expected the name of a file"),
        (("nothing", "o.h5"), "nothing: no such folder or file"),
        (("photos", "o.h5", "--min-score", "2"), "--min-score 2: expected 0 to 1"),
        (("photos", "o.h5", "--min-area", "0.6"), "expected shares of the photo"),
        (("photos", "o.h5", "--max-objects", "0"), "0 is not at least 1"),
        (("photos", "o.h5", "--max-objects", "2000000"), "at most 1,000,000"),
        (("photos", "o.h5", "--checkpoint", "none.pth"), "none.pth: no such checkpoint"),
        (("photos", "o.h5", *NETWORK, "--classes", "person"), "unknown class person"),
        (("photos", "photos/a.png", *NETWORK), "a.png: not a readable HDF5 file"),
        (("photos", "o.h5", "--from-instances"), "photos: no JSON files; expected the folder"),
        (("json", "o.h5", "--from-instances"), "a.json: not a file of instances"),
    ],
)
def test_bad_requests_are_one_message_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "a.json").write_text("{}")
    done = run(command("harvest_masks", *arguments), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json", "photos"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 1)
    (tmp_path / "file").touch()
    done = harvest(photos, tmp_path / "file/x.h5", *NETWORK)
    assert done.returncode == 1
    assert f"{tmp_path}/file/x.h5.parts: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
