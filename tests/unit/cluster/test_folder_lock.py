"""One holder at a time; holders that are gone do not keep others out."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.cluster import folder_lock
from pconv_hpc.cluster.folder_lock import (
    LOCK_NAME,
    TOKEN_VARIABLE,
    FolderLock,
    LockHolder,
    read_holder,
)
from pconv_hpc.foundation.errors import PconvError, UsageError


def write_lock(folder: Path, environment: dict[str, str], **changes: object) -> LockHolder:
    """Leave a lock as a holder of that environment would."""
    fields = vars(LockHolder.current(environment)) | changes
    (folder / LOCK_NAME).write_text(json.dumps(fields))
    return LockHolder(**fields)


def test_a_lock_keeps_others_out_and_goes_with_its_holder(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "run", {}):
        holder = read_holder(tmp_path / "run")
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(UsageError, match=f"process {os.getpid()} on .* is at work here"):
            FolderLock(tmp_path / "run", {}).__enter__()
        assert read_holder(tmp_path / "run") == holder
    assert list((tmp_path / "run").iterdir()) == []


def test_ranks_share_the_lock_of_the_job_that_launched_them(tmp_path: Path) -> None:
    with FolderLock(tmp_path, {"SLURM_JOB_ID": "5"}) as lock:
        with FolderLock(tmp_path, {"SLURM_JOB_ID": "5", TOKEN_VARIABLE: lock.token}):
            pass
        assert read_holder(tmp_path) is not None, "a rank must not release its job's lock"
        with pytest.raises(UsageError, match="Slurm job 5"):
            FolderLock(tmp_path, {"SLURM_JOB_ID": "5"}).__enter__()


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    write_lock(tmp_path, {}, pid=pid, pid_started="1", token="gone")
    with FolderLock(tmp_path, {}):
        assert read_holder(tmp_path).pid == os.getpid()  # type: ignore[union-attr]


def test_another_process_with_the_same_number_is_not_mistaken_for_it(tmp_path: Path) -> None:
    write_lock(tmp_path, {}, pid_started="1", token="earlier")
    with FolderLock(tmp_path, {}):
        pass


def test_an_earlier_start_of_this_very_job_is_over(tmp_path: Path) -> None:
    write_lock(tmp_path, {"SLURM_JOB_ID": "5"}, host="elsewhere")
    with FolderLock(tmp_path, {"SLURM_JOB_ID": "5", "SLURM_RESTART_COUNT": "1"}):
        pass


@pytest.mark.parametrize(("alive", "refused"), [(True, True), (False, False)])
def test_slurm_is_asked_about_another_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: bool, refused: bool
) -> None:
    asked = []
    monkeypatch.setattr(folder_lock, "is_alive", lambda job: asked.append(job) or alive)
    write_lock(tmp_path, {"SLURM_JOB_ID": "5"}, host="elsewhere")
    if refused:
        with pytest.raises(UsageError, match="scancel 5"):
            FolderLock(tmp_path, {"SLURM_JOB_ID": "6"}).__enter__()
    else:
        with FolderLock(tmp_path, {"SLURM_JOB_ID": "6"}):
            pass
    assert asked == [5]


def test_when_nobody_can_be_asked_the_lock_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_slurm(job: int) -> bool:
        raise PconvError("scontrol: not found")

    monkeypatch.setattr(folder_lock, "is_alive", no_slurm)
    for environment, host in (({"SLURM_JOB_ID": "5"}, socket.gethostname()), ({}, "elsewhere")):
        holder = write_lock(tmp_path, environment, host=host)
        with pytest.raises(UsageError, match=r"delete .*lock"):
            FolderLock(tmp_path, {}).__enter__()
        assert read_holder(tmp_path) == holder
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]


def test_a_lock_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("{")
    with FolderLock(tmp_path, {}):
        assert read_holder(tmp_path) is not None


@pytest.mark.parametrize(
    "change", [{"pid": "../1"}, {"pid": None}, {"job_id": "--me"}, {"token": 3}, {"host": []}]
)
def test_a_lock_that_names_no_holder_is_no_lock(tmp_path: Path, change: dict[str, object]) -> None:
    write_lock(tmp_path, {}, **change)
    assert read_holder(tmp_path) is None
    (tmp_path / LOCK_NAME).write_text("[" * 100_000)
    with FolderLock(tmp_path, {}):
        assert read_holder(tmp_path).pid == os.getpid()  # type: ignore[union-attr]
