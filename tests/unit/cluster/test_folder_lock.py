"""One holder at a time; holders that are gone do not keep others out."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
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
        with pytest.raises(UsageError, match=f"run: locked by process {os.getpid()} on "):
            FolderLock(tmp_path / "run", {}).__enter__()
        assert read_holder(tmp_path / "run") == holder
    assert list((tmp_path / "run").iterdir()) == []


def test_ranks_share_the_lock_of_the_job_that_launched_them(tmp_path: Path) -> None:
    with FolderLock(tmp_path, {"SLURM_JOB_ID": "5"}) as lock:
        with FolderLock(tmp_path, {"SLURM_JOB_ID": "5", TOKEN_VARIABLE: lock.token}):
            pass
        assert read_holder(tmp_path) is not None, "a rank must not release its job's lock"
        with pytest.raises(UsageError, match="locked by job 5 "):
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


@pytest.fixture(params=[errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS])
def no_hard_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system as object stores and some SMB servers are mounted."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(request.param, os.strerror(request.param), source, None, target)

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_hard_links")
def test_without_hard_links_a_lock_keeps_others_out(tmp_path: Path) -> None:
    with FolderLock(tmp_path, {}), pytest.raises(UsageError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path, {}).__enter__()
    assert list(tmp_path.iterdir()) == []
    write_lock(tmp_path, {}, pid_started="1", token="gone")
    with FolderLock(tmp_path, {}):
        assert read_holder(tmp_path).token != "gone"  # type: ignore[union-attr]


_CONTENDER = """
import os, sys
from pathlib import Path
from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.foundation.errors import UsageError

def refuse(source, target):
    raise PermissionError(1, "no hard links")

os.link = refuse
sys.stdin.readline()
try:
    FolderLock(Path(sys.argv[1]), {}).__enter__()
    print("entered", flush=True)
except UsageError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_without_hard_links_one_of_several_processes_gets_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CONTENDER, str(tmp_path)]
    with contextlib.ExitStack() as stack:
        contenders = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(4)
        ]
        for contender in contenders:  # all try at once, and end with their stdin
            assert contender.stdin is not None
            contender.stdin.write("\n")
            contender.stdin.flush()
        said = sorted(c.stdout.readline().strip() for c in contenders if c.stdout)
    assert said == ["entered", "refused", "refused", "refused"]


def test_a_lock_that_is_just_being_written_holds(tmp_path: Path) -> None:
    lock = tmp_path / LOCK_NAME
    lock.write_text("")
    content = json.dumps(vars(LockHolder.current({})))
    writer = threading.Timer(0.1, lock.write_text, args=[content])
    writer.start()
    with pytest.raises(UsageError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path, {}).__enter__()
    writer.join()
    assert lock.read_text() == content


def test_a_writer_that_was_taken_for_torn_does_not_own_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(source: Path, target: Path) -> None:
        write_lock(tmp_path, {}, token="another")

    monkeypatch.setattr(os, "link", replaced)
    with pytest.raises(PconvError, match="try again"):
        FolderLock(tmp_path, {}).__enter__()
    assert read_holder(tmp_path).token == "another"  # type: ignore[union-attr]
