"""Erasing that is killed, doubled, cut off from its disk, or whose photos change: real processes.

Tasks of a real job array are ended in ``tests/integration/cluster/test_erase_array.py``, photos
that kill their stage and stages that break are in
``tests/unit/erasing/folder/test_slice_runner.py``.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.erasing.folder.ledger import read_slice
from pconv_hpc.erasing.folder.slice_summary import summarise
from tests.integration.faults.half_erased import (
    NUM_PHOTOS,
    NUM_ROWS,
    assert_complete,
    erase,
    erasing,
    make_half_erased,
    results,
    stamps,
)
from tests.integration.faults.small_disk import small_disk
from tests.integration.faults.written_files import check_written
from tests.support.inpainting_files import save_tiny_weights

_MAX_SECONDS_LATER = 0.1  # a photo takes about as long


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights") / "w.h5", image_size=64)


@pytest.fixture(scope="module")
def undisturbed(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that nothing happened to."""
    manifest = make_half_erased(tmp_path_factory.mktemp("undisturbed"), weights)
    ending = erase(manifest)
    assert ending.code == 0, ending.stderr
    return manifest.out


@pytest.fixture(scope="module")
def expected(undisturbed: Path) -> dict[str, bytes]:
    root = undisturbed / "erased"
    found = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert len(found) == NUM_PHOTOS
    return found


def test_what_is_written_follows_the_umask_and_holds_nothing_of_the_environment(
    undisturbed: Path,
) -> None:
    made = [
        *(undisturbed / "erased").rglob("*"),
        *(undisturbed / "slices/00000").glob("*"),
        undisturbed / "report.html",
    ]
    assert {"done.json", "log.txt", "todo.jsonl", "report.html"} < {path.name for path in made}
    first = min(path.name for path in made if path.suffix == ".jsonl")
    check_written(path for path in made if path.name != first)  # that one this test wrote


def test_tasks_killed_at_random_lose_and_repeat_nothing(
    weights: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    seed = os.environ.get("PCONV_FAULT_SEED")  # set by the soak
    rng = random.Random(int(seed or 1))
    manifest = make_half_erased(tmp_path, weights)
    # A third kill could hit one photo for the third time, and that photo would be set aside.
    victims = (
        [rng.choice(["task", "stage", "both"]) for _ in range(2)] if seed else ["task", "stage"]
    )
    finished: dict[str, tuple[int, int]] = {}
    struck, told = 0, []
    for who in victims:
        left = NUM_ROWS - 2 * len(finished)
        with erasing(manifest) as run:
            rows, seconds = rng.randint(0, max(left - 2, 0)), rng.uniform(0, _MAX_SECONDS_LATER)
            told.append((who, rows, seconds))
            if run.wait_for_rows(rows):
                time.sleep(seconds)
                struck += run.process.poll() is None
                run.kill(who)
            ending = run.end()
        assert ending.code in (0, 1, -signal.SIGKILL), ending.stderr
        now = stamps(manifest)
        assert {name: now.get(name) for name in finished} == finished, told
        finished = now
    ending = erase(manifest)
    assert ending.code == 0, (told, ending.stderr)
    now = stamps(manifest)
    assert {name: now[name] for name in finished} == finished, told
    assert_complete(manifest, expected)
    record_property("tried", struck)
    assert struck


def test_a_second_task_torn_rows_and_a_folder_that_changes(
    weights: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    manifest = make_half_erased(tmp_path, weights)
    with erasing(manifest) as run:
        stage = run.pause()
        outcomes = read_slice(manifest.slice_dir(0)).outcomes
        ahead = [photo for photo, outcome in outcomes.items() if outcome.status == "found"]
        deleted, truncated, replaced, renamed, *_ = (p for p in ahead if outcomes[p].classes)
        before = {path: path.stat().st_mtime_ns for path in manifest.out.rglob("*.*")}

        second = erase(manifest)
        assert second.code == 1
        assert f"slice 0 skipped: locked by process {run.process.pid} on " in second.stderr
        changed = {path.name for path in before if path.stat().st_mtime_ns != before[path]}
        assert changed <= {"log.txt", "report.html"}

        kept = {name: (manifest.images / name).read_bytes() for name in ahead}
        (manifest.images / deleted).unlink()
        (manifest.images / truncated).write_bytes(kept[truncated][:100])
        Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(manifest.images / replaced)
        (manifest.images / renamed).rename(manifest.images / "another name.png")
        (manifest.images / "added.png").write_bytes(kept[deleted])
        for path in manifest.slice_dir(0).glob("2*.jsonl"):
            with open(path, "ab") as ledger:
                ledger.write(b'{"photo": "' + os.fsencode(renamed) + b'", "status": "erased", "st')
                ledger.write(b"\n" + bytes(300) + b"\n\xff\xfe]{\n" + b'{"photo": ["x"]}')
        os.kill(stage, signal.SIGCONT)
        ending = run.end()
    assert ending.code == 1, ending.stderr
    assert "Traceback" not in ending.stderr
    summary = summarise(manifest, 0)
    assert (summary.erased + summary.empty, summary.failed) == (NUM_PHOTOS - 4, 4)
    assert summary.num_torn >= 4
    for photo in (deleted, truncated, replaced, renamed):
        assert f"failed: {photo}: " in ending.stderr
    assert results(manifest).items() <= expected.items()

    finished = stamps(manifest)
    for photo in (deleted, truncated, replaced, renamed):
        (manifest.images / photo).write_bytes(kept[photo])
    assert erase(manifest).code == 0
    now = stamps(manifest)
    assert {name: now[name] for name in finished} == finished
    assert_complete(manifest, expected)


def test_a_full_disk_and_a_folder_that_turns_read_only_stop_the_task_and_are_no_photos_fault(
    weights: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", num_bytes=16 << 20) as disk:
        manifest = make_half_erased(tmp_path, weights, disk.path / "out")
        with erasing(manifest) as run:
            stage = run.pause()
            disk.fill(stage)
            os.kill(stage, signal.SIGCONT)
            ending = run.end()
        _assert_stopped(ending.code, ending.stderr, disk.path, disk.reason)
        disk.make_room()

        finished = stamps(manifest)
        with erasing(manifest) as run:
            stage = run.pause()
            folders = [manifest.out, *(p for p in manifest.out.rglob("*") if p.is_dir())]
            for path in folders:
                path.chmod(0o555)
            os.kill(stage, signal.SIGCONT)
            ending = run.end()
            for path in folders:
                path.chmod(0o755)
        _assert_stopped(ending.code, ending.stderr, disk.path, "Permission denied")
        assert summarise(manifest, 0).set_aside == 0
        assert erase(manifest).code == 0
        now = stamps(manifest)
        assert {name: now[name] for name in finished} == finished
        assert_complete(manifest, expected)


def _assert_stopped(code: int, stderr: str, disk: Path, reason: str) -> None:
    assert code == 2, stderr
    assert "Traceback" not in stderr
    [line] = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert f"error: {disk}/out/" in line
    assert f"cannot be written ({reason})" in line
    assert "run the same command again" in line


def test_a_folder_of_results_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    manifest = make_half_erased(tmp_path, save_tiny_weights(tmp_path / "w.h5"))
    slices = manifest.out / "slices"
    for path in (slices, manifest.slice_dir(0)):
        path.chmod(0o555)
    ending = erase(manifest)
    for path in (slices, manifest.slice_dir(0)):
        path.chmod(0o755)
    _assert_stopped(ending.code, ending.stderr, tmp_path, "Permission denied")
    assert results(manifest) == {}
