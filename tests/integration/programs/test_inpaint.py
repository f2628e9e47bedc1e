"""tools/inpaint.py as a person runs it."""

import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.erasing.folder.ledger import read_slice
from tests.support.inpainting_files import save_photo_and_mask, save_tiny_weights
from tests.support.paths import REPOSITORY
from tests.support.waiting import end_of

TOOL = REPOSITORY / "tools" / "inpaint.py"

# Runs the tool and prints the most memory it ever held, in KiB, as the last line.
_MEASURED = f"""
import runpy
from benchmarks.memory import peak_bytes_of_process
try:
    runpy.run_path({str(TOOL)!r}, run_name="__main__")
finally:
    print(peak_bytes_of_process() // 1024)
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "w.h5", image_size=64)


class Outcome(NamedTuple):
    """Exit code and what was printed."""

    code: int
    stdout: str
    stderr: str


Inpaint = Callable[..., Outcome]


@pytest.fixture
def inpaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inpaint:
    """Run the tool in this process: TensorFlow takes its seconds to start only once."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["inpaint.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(TOOL), run_name="__main__")
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run


def make_folder(folder: Path, count: int) -> tuple[Path, Path, Path]:
    for index in range(count):
        name = f"sub/{index}.png" if index else "0.png"
        save_photo_and_mask(folder / "photos" / name, folder / "masks" / name)
    return folder / "photos", folder / "masks", folder / "out"


def test_only_the_photos_of_a_list(tmp_path: Path, weights: Path, inpaint: Inpaint) -> None:
    photos, masks, out = make_folder(tmp_path, 3)
    (masks / "0.png").unlink()
    names = tmp_path / "list.txt"
    arguments = (photos, masks, out, "--weights", weights, "--files-from", names)

    names.write_text("0.png\n")
    nothing = inpaint(*arguments)
    assert nothing.code == 0
    assert "nothing to erase" in nothing.stdout
    assert not out.exists()

    names.write_text("0.png\nsub/2.png\n")
    assert inpaint(*arguments).code == 0
    assert [path.relative_to(out) for path in out.rglob("*.png")] == [Path("sub/2.png")]

    names.write_text("../photos/0.png\n")
    refused = inpaint(*arguments)
    assert refused.code == 2
    assert "leads out of" in refused.stderr


def test_several_photos_are_no_results(tmp_path: Path, weights: Path, inpaint: Inpaint) -> None:
    photos, masks, out = make_folder(tmp_path, 3)
    paths = [photos / "0.png", photos / "sub/1.png", photos / "sub/2.png"]
    before = [path.read_bytes() for path in paths]
    refused = inpaint(*paths, "--overwrite", "--weights", weights)
    assert refused.code == 2
    assert "2.png: is a file that is there" in refused.stderr
    assert [path.read_bytes() for path in paths] == before
    assert inpaint(*paths[:2], masks, f"{out}/", "--weights", weights, "--detail=none").code == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.png")) == ["0.png", "sub/1.png"]


def test_labels_of_label_maps(tmp_path: Path, weights: Path, inpaint: Inpaint) -> None:
    photos, masks, out = make_folder(tmp_path, 1)
    with Image.open(photos / "0.png") as image:
        labels = Image.fromarray(np.zeros((image.height, image.width), np.uint8), "P")
        before = np.asarray(image)
    labels.putpalette([0, 0, 0, 192, 0, 0, 64, 0, 0])
    labels.paste(1, (4, 4, 12, 12))
    labels.paste(2, (20, 20, 30, 30))
    labels.save(masks / "0.png")
    arguments = (photos, masks, out, "--weights", weights, "--detail", "none")

    refused = inpaint(*arguments)
    assert refused.code == 1
    assert "2 (100 pixels)" in refused.stderr

    assert inpaint(*arguments, "--mask-values", "2,#000009").code == 0
    with Image.open(out / "0.png") as image:
        changed = (np.asarray(image) != before).any(axis=2)
    assert changed[20:30, 20:30].any()
    changed[20:30, 20:30] = False
    assert not changed.any()

    for words in ("x", "1,", "-1", "#1000000"):
        assert inpaint(*arguments, f"--mask-values={words}").code == 2


def test_a_ledger_tells_what_became_of_each_photo(
    tmp_path: Path, weights: Path, inpaint: Inpaint
) -> None:
    photos, masks, out = make_folder(tmp_path, 3)
    (photos / "0.png").write_bytes(b"no photo")
    ledger = tmp_path / "2026-ledger.jsonl"
    done = inpaint(photos, masks, out, "--weights", weights, "--ledger", ledger)
    assert done.code == 1
    outcomes = read_slice(tmp_path).outcomes
    assert {photo: outcome.status for photo, outcome in outcomes.items()} == {
        "0.png": "failed",
        "sub/1.png": "erased",
        "sub/2.png": "erased",
    }
    assert outcomes["0.png"].reason == "not an image in a supported format"


def test_a_folder_with_a_broken_photo_then_again_with_it_repaired(
    tmp_path: Path, weights: Path, inpaint: Inpaint
) -> None:
    photos, masks, out = make_folder(tmp_path, 3)
    whole = (photos / "0.png").read_bytes()
    (photos / "0.png").write_bytes(whole[:999])
    save_photo_and_mask(photos / "lonely.jpg", tmp_path / "elsewhere.png")

    first = inpaint(photos, masks, out, "--weights", weights)
    assert first.code == 1, first.stderr
    assert "1 failed, 2 erased" in first.stdout or "2 erased, 1 failed" in first.stdout
    assert "0.png" in first.stderr
    assert "1 photos have no mask" in first.stderr
    assert "lonely.jpg" in first.stderr
    assert "Traceback" not in first.stderr
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == ["sub/1.png", "sub/2.png"]

    (photos / "0.png").write_bytes(whole)
    again = inpaint(photos, masks, out, "--weights", weights)
    assert again.code == 0, again.stderr
    assert "1 erased, 2 skipped" in again.stdout
    hole = np.asarray(Image.open(masks / "0.png"))
    before, after = np.asarray(Image.open(photos / "0.png")), np.asarray(Image.open(out / "0.png"))
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).any()


def test_dry_run_shows_pairs_and_writes_nothing(tmp_path: Path, inpaint: Inpaint) -> None:
    photos, masks, out = make_folder(tmp_path, 2)
    result = inpaint(photos, masks, out, "--dry-run")
    assert result.code == 0
    assert result.stdout.splitlines() == [
        f"{photos / name} + {masks / name} -> {out / name}" for name in ("0.png", "sub/1.png")
    ]
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weights", "nowhere.h5"), "no such weights file or run folder"),
        (("--weights", __file__), "not a readable HDF5 file"),
        (("--context", "0.5", "--weights", "x"), "context must be between 1 and 100"),
        (("--strategy", "magic"), "invalid choice"),
    ],
)
def test_arguments_that_cannot_be_used(
    tmp_path: Path, inpaint: Inpaint, arguments: tuple[str, ...], message: str
) -> None:
    photos, masks, out = make_folder(tmp_path, 1)
    result = inpaint(photos, masks, out, *arguments)
    assert result.code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_no_result_of_the_photo_is_refused(tmp_path: Path, inpaint: Inpaint) -> None:
    photos, masks, _ = make_folder(tmp_path, 1)
    (tmp_path / "file").touch()
    for name, message in (("clean.jpg", "name that ends in .png"), ("file", "OUT replaces none")):
        refused = inpaint(photos / "0.png", masks / "0.png", tmp_path / name)
        assert refused.code == 2
        assert message in refused.stderr
    assert not (tmp_path / "clean.jpg").exists()


def test_a_signal_stops_it_between_photos_and_the_same_command_continues(
    tmp_path: Path, weights: Path, inpaint: Inpaint
) -> None:
    photos, masks, out = make_folder(tmp_path, 60)
    arguments = [photos, masks, out, "--weights", weights]
    process = subprocess.Popen(
        [sys.executable, TOOL, *arguments, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stderr is not None
    seen = ""
    while " 1/60" not in seen:  # the first photo is finished
        character = process.stderr.read(1)
        assert character, seen  # it ended too early
        seen += character
    process.send_signal(signal.SIGUSR2)
    _, stderr = end_of(process)
    done = len(list(out.rglob("*.png")))
    assert process.returncode == 75, stderr
    assert f"stopped by SIGUSR2 with {60 - done} photos left" in stderr
    assert 0 < done < 60
    assert not list(out.rglob("*.tmp"))

    rest = inpaint(*arguments)
    assert rest.code == 0, rest.stderr
    assert f"{60 - done} erased, {done} skipped" in rest.stdout


def test_24_megapixels_stay_below_4_gb(tmp_path: Path, weights: Path) -> None:
    height, width = 4000, 6000
    y, x = np.mgrid[0:height, 0:width].astype(np.uint16)
    photo = np.stack([x // 24, y // 16, (x + y) // 40], axis=2).astype(np.uint8)
    hole = np.zeros((height, width), dtype=np.uint8)
    hole[1000:2200, 2500:3100] = hole[3000:3100, 100:300] = 255
    Image.fromarray(photo).save(tmp_path / "photo.tif")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    out = tmp_path / "out.tif"
    result = subprocess.run(
        [
            *(sys.executable, "-c", _MEASURED, tmp_path / "photo.tif", tmp_path / "mask.png", out),
            *("--weights", weights, "--working-size", "256"),
        ],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) < 4 * 1024**2
    after = np.asarray(Image.open(out))
    np.testing.assert_array_equal(after[hole == 0], photo[hole == 0])
    assert (after[hole != 0] != photo[hole != 0]).any(axis=1).mean() > 0.9


def test_a_fetched_network_goes_by_its_name(
    tmp_path: Path, weights: Path, inpaint: Inpaint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos, masks, out = make_folder(tmp_path, 1)
    missing = inpaint(photos, masks, out, "--weights", "places2")
    assert missing.code == 2
    assert "pconv-hpc fetch-weights pconv_places2" in missing.stderr
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "pconv_places2.h5").write_bytes(weights.read_bytes())
    done = inpaint(photos, masks, out, "--weights", "places2")
    assert (done.code, done.stdout) == (0, "1 erased\n")
