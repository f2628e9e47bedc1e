"""How far a folder is: from ledgers, locks and what Slurm says."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder import slice_parts, slice_stages
from pconv_hpc.erasing.folder.ledger import MAX_FAILURES
from pconv_hpc.erasing.folder.slice_runner import forgive_failures
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.jobs.erase_array import status as erase_status
from pconv_hpc.jobs.erase_array.array_jobs import note_job
from pconv_hpc.jobs.erase_array.status import read_erase_status
from pconv_hpc.jobs.erase_array.status_text import describe_status
from tests.support.erase_folders import account, make_erase_folder
from tests.support.fake_tars import FakeTars
from tests.support.slice_runs import run


@pytest.fixture(autouse=True)
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A squeue that prints a file; ``scontrol show job`` knows no job."""
    programs, queue = tmp_path / "bin", tmp_path / "queue"
    programs.mkdir()
    (programs / "squeue").write_text(f"#!/bin/sh\ncat {queue}\n")
    (programs / "scontrol").write_text("#!/bin/sh\necho Invalid job id >&2; exit 1\n")
    for name in ("squeue", "scontrol"):
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    queue.touch()
    return queue


def test_a_folder_that_nobody_began(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    status = read_erase_status(manifest.out)
    assert (status.photos, status.remaining, status.state) == (12, 12, "not begun")
    assert status.rerun == [0, 1, 2, 3]
    assert status.seconds_left is status.images_per_second is status.last_error is None
    with pytest.raises(UsageError, match="expected the manifest of an OUT folder"):
        read_erase_status(tmp_path)


def test_every_slice_is_counted_once_and_told_apart(tmp_path: Path, squeue: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    account(manifest, 0, "erased", "empty", "erased")
    account(manifest, 1, "erased", "failed", "")
    account(manifest, 2, "", "failed", "failed", reason="empty file")
    note_job(manifest.out, 50, indices="0-3", options={})
    squeue.write_text("52|50|2|RUNNING\n50|50|3|PENDING\n70|70|1|RUNNING\n")  # 70: another folder
    status = read_erase_status(manifest.out)
    assert (status.erased, status.empty, status.failed, status.set_aside) == (3, 1, 3, 0)
    assert status.erased + status.empty + status.set_aside + status.remaining == status.photos
    assert status.classes == {"person": 6}
    assert status.reasons == {"empty file": 2, "damaged": 1}
    assert status.last_error == "empty file"
    assert (status.finished, status.at_work, status.waiting, status.rerun) == (1, [2], [3], [1])
    assert status.slurm == {"RUNNING": 2, "PENDING": 1}
    assert status.state == "at work"
    assert status.images_per_second
    assert status.seconds_left == status.remaining / status.images_per_second
    assert json.loads(json.dumps(dataclasses.asdict(status)))["rerun"] == [1]


def test_a_folder_of_which_only_failures_are_left(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    account(manifest, 0, "erased", "failed", "empty")
    status = read_erase_status(manifest.out)
    assert (status.state, status.remaining, status.rerun) == ("some failed", 1, [0])


def test_a_slice_whose_lock_is_held_is_at_work(tmp_path: Path, squeue: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    account(manifest, 1, "erased", "", "")
    in_job = {"SLURM_JOB_ID": "77"}
    with FolderLock(manifest.slice_dir(0), {}), FolderLock(manifest.slice_dir(1), in_job):
        squeue.write_text("77|60|1|RUNNING\n")  # by an array that nobody noted
        assert read_erase_status(manifest.out).at_work == [0, 1]
        squeue.write_text("77|60|1|PENDING\n")  # requeued: the lock is of its earlier start
        assert read_erase_status(manifest.out).at_work == [0]
        squeue.write_text("")
        assert read_erase_status(manifest.out).rerun == [1, 2, 3]
    assert read_erase_status(manifest.out).rerun == [0, 1, 2, 3]


def test_set_aside_and_forgiven(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    for _ in range(MAX_FAILURES):
        account(manifest, 1, "erased", "failed", "empty")
    status = read_erase_status(manifest.out)
    assert (status.set_aside, status.failed, status.rerun) == (1, 0, [0, 2, 3])
    assert status.reasons == {"damaged": 1}
    assert [forgive_failures(manifest, k) for k in range(4)] == [0, 1, 0, 0]
    status = read_erase_status(manifest.out)
    assert (status.set_aside, status.rerun) == (0, [0, 1, 2, 3])
    assert (status.erased, status.empty, status.remaining) == (1, 1, 10)


def test_an_old_finished_slice_is_told_without_its_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_erase_folder(tmp_path)
    account(manifest, 0, "erased", "erased", "erased")
    monkeypatch.setattr(erase_status, "RECENT_S", -60.0)  # what was just done is long ago
    for ledger in manifest.slice_dir(0).glob("*.jsonl"):
        ledger.unlink()
    status = read_erase_status(manifest.out)
    assert (status.erased, status.finished) == (3, 1)
    assert status.images_per_second is None


def test_a_slice_that_ended_while_it_wrote_its_tar_file_is_to_be_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tars = {"a.tar": [("1.jpg", "star")], "b.tar": [("1.jpg", "star")]}
    folder = FakeTars(tmp_path, tars, num_slices=3)  # the last one is empty
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)

    def refuse(*_: object) -> None:
        raise PconvError("no room")

    with Programs() as programs:
        run(folder, programs, 0)
        with monkeypatch.context() as patch:
            patch.setattr(slice_parts, "write_anew", refuse)
            with pytest.raises(PconvError, match="no room"):
                run(folder, programs, 1)
        status = read_erase_status(folder.manifest.out)
        assert (status.state, status.remaining) == ("ended early", 0)
        assert (status.finished, status.rerun) == (2, [1])
        with FolderLock(folder.manifest.slice_dir(1), {}):
            assert read_erase_status(folder.manifest.out).state == "at work"
        run(folder, programs, 1)
    status = read_erase_status(folder.manifest.out)
    assert (status.state, status.finished, status.rerun) == ("finished", 3, [])


def test_errors_of_tasks_that_never_reached_a_photo(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    (manifest.out / "logs").mkdir()
    (manifest.out / "logs" / "5_0.out").write_text("fine\nerror: no class persn\nmore\n")
    assert read_erase_status(manifest.out).last_error == "no class persn"


def test_without_slurm_the_folder_alone_tells(tmp_path: Path, squeue: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    note_job(manifest.out, 50, indices="0-3", options={})
    (tmp_path / "bin" / "squeue").write_text("#!/bin/sh\nexit 1\n")
    status = read_erase_status(manifest.out)
    assert status.slurm is None
    assert status.rerun == [0, 1, 2, 3]


_TEXT = """\
results     {out}
photos      12 of {images}, in 4 slices
status      at work
done        2 erased, 1 with nothing to erase (copied)
failed      1 to be tried again, 0 set aside after 3 failures
remaining   9, 00:45 left
slices      1 at work, 3 to rerun
slurm       not available here
speed       0.20 images/s in the last minutes, 720 images per hour and task
erased      4 person
why failed  1 odd \\xff name
rerun       1-3
command     go on
"""


def test_the_lines_for_a_person(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path)
    odd = os.fsdecode(b"odd \xff name")
    status = dataclasses.replace(
        read_erase_status(manifest.out),
        erased=2,
        empty=1,
        failed=1,
        remaining=9,
        classes={"person": 4},
        reasons={odd: 1},
        last_error=odd,
        at_work=[0],
        rerun=[1, 2, 3],
        slurm=None,
        images_per_second=0.2,
        images_per_task_hour=720.0,
        seconds_left=45.0,
    )
    text = describe_status(status, "go on") + "\n"
    assert text == _TEXT.format(out=manifest.out, images=manifest.images)
