"""One slice of a folder of photos: its share, its command lines, its exit code."""

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.erasing.segment_files import read_list
from pconv_hpc.errors import UsageError
from pconv_hpc.slurm.erase_slice import EraseSlice, parse, requeue, run_slice, write_list
from pconv_hpc.slurm.programs import Programs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def programs() -> Iterator[Programs]:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    yield Programs()
    for number, handler in before.items():
        signal.signal(number, handler)


def array(task: int = 0, *, count: int = 4, last: int = 3, **more: str) -> dict[str, str]:
    variables = {"ID": task, "COUNT": count, "MAX": last}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in variables.items()} | more


@pytest.mark.parametrize(("num_photos", "num_slices"), [(0, 1), (3, 8), (64, 8), (101, 7)])
def test_slices_share_the_photos(folder: Path, num_photos: int, num_slices: int) -> None:
    photos = [f"{index:03}.jpg" for index in range(num_photos)]
    environment = array(count=num_slices, last=num_slices - 1)
    slices = []
    for task in range(num_slices):
        environment["SLURM_ARRAY_TASK_ID"] = str(task)
        work = parse(["my photos", "out", "--weights", "w.h5"], environment)
        slices.append(work.photos(photos))
    assert sorted(itertools.chain(*slices)) == photos
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


def test_command_lines(folder: Path) -> None:
    arguments = ["my photos", "an out", "--classes", "person", "--weights", "-w.h5", "--largest"]
    more = ["--config=mask-rcnn_r50", "--checkpoint", "net.pth", "--num-slices", "9"]
    with pytest.raises(UsageError, match="weights"):  # an option's value never begins with a dash
        parse([*arguments, *more], array(2))
    arguments[5] = "w 1.h5"
    work = parse([*arguments, *more], array(2))

    assert work.segment_command()[1:] == [
        str(Path(__file__).parents[2] / "tools" / "segment.py"),
        str(folder / "my photos"),
        str(folder / "an out/found"),
        f"--files-from={folder}/an out/slices/2-of-9.txt",
        f"--checkpoint={folder}/net.pth",
        "--config=mask-rcnn_r50",
        *("--classes", "person", "--largest"),
    ]
    assert work.inpaint_command()[1:] == [
        str(Path(__file__).parents[2] / "tools" / "inpaint.py"),
        str(folder / "my photos"),
        str(folder / "an out/found/masks"),
        str(folder / "an out/erased"),
        f"--files-from={folder}/an out/slices/2-of-9.txt",
        f"--weights={folder}/w 1.h5",
    ]


def test_everything_from_the_environment(folder: Path) -> None:
    names = {"IMAGES": "my photos", "OUT": "out", "WEIGHTS": "w.h5", "CHECKPOINT": "n.pth"}
    work = parse(["--all"], array(1, **names))
    assert (work.images, work.out) == (folder / "my photos", folder / "out")
    assert (work.weights, work.checkpoint) == (folder / "w.h5", folder / "n.pth")
    assert work.segment_options == ("--all",)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["my photos"], array(), "expected IMAGES OUT, found my photos"),
        ([], array(), "found nothing"),
        (["my photos", "out", "more"], array(), "expected IMAGES OUT"),
        (["none", "out"], array(), "none: no such folder"),
        (["my photos", "my photos"], array(), "a folder of its own"),
        (["my photos", "out", "--num-slices", "x"], array(), "--num-slices"),
        (["my photos", "out", "--num-slices", "3"], array(3), "expected 0 to 2"),
        (["my photos", "out", "--overwrite"], array(), "--overwrite: not possible"),
        (["my photos", "out", "--files=x"], array(), "--files: not possible"),
        (["my photos", "out"], {}, "no task of a job array"),
        # --array=3,5 to repeat two of 64 is no array of 6 slices
        (["my photos", "out"], array(3, count=2, last=5), "add --num-slices"),
    ],
)
def test_what_cannot_work_is_refused(
    folder: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        parse(arguments, environment | {"WEIGHTS": "w.h5"})


def test_no_weights_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no weights"):
        parse(["my photos", "out"], array())


def test_lists_hold_every_name_or_say_why_not(tmp_path: Path) -> None:
    names = ["a b.jpg", "ä/#1.png", " c.jpg"]
    write_list(tmp_path / "slices/list.txt", names)
    assert read_list(tmp_path / "slices/list.txt", tmp_path) == names
    for name in ("two\nlines.jpg", "odd\x85.jpg", os.fsdecode(b"latin\xe4.jpg")):
        with pytest.raises(UsageError, match="rename"):
            write_list(tmp_path / "bad.txt", [name])
    assert not (tmp_path / "bad.txt").exists()


class Scripted(EraseSlice):
    """Two programs of the test's own."""

    def segment_command(self) -> list[str]:
        return [sys.executable, "-c", self.segment_options[0]]

    def inpaint_command(self) -> list[str]:
        return [sys.executable, "-c", self.segment_options[1]]


_TOLD = """
import os, signal, sys, time
signal.signal(signal.SIGUSR2, lambda *_: sys.exit(75))
os.kill(os.getppid(), signal.SIGUSR2)
time.sleep(60)
"""
_KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
_TOLD_EARLY = "import os, signal, time; os.kill(os.getppid(), signal.SIGUSR2); time.sleep(60)"


@pytest.mark.parametrize(
    ("first", "second", "code", "is_second_run"),
    [
        ("", "", 0, True),
        ("exit(1)", "", 1, True),
        ("", "exit(1)", 1, True),
        ("exit(2)", "", 2, False),
        (_KILLED, "", 1, False),
        (_TOLD, "", 75, False),
        (_TOLD_EARLY, "", 75, False),  # before it could catch the signal
        ("import os; os.kill(os.getppid(), 12)", "", 75, False),
        ("exit(1)", _TOLD, 75, True),
    ],
)
def test_exit_codes(
    tmp_path: Path, programs: Programs, first: str, second: str, code: int, is_second_run: bool
) -> None:
    mark = f"open({str(tmp_path / 'second')!r}, 'w')\n"
    work = Scripted(
        images=tmp_path,
        out=tmp_path / "out",
        weights=tmp_path,
        number=0,
        num_slices=1,
        segment_options=(first, mark + second),
    )
    assert run_slice(work, programs) == code
    assert (tmp_path / "second").exists() == is_second_run


def test_only_this_task_is_requeued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho "JobId=7 JobName=x"\n'
        f'echo "   JobState=$STATE Reason=None"\n'
    )
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    environment = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "7"}
    calls = tmp_path / "calls"

    monkeypatch.setenv("STATE", "CANCELLED")
    assert "ending" in requeue(environment, has_progress=True)
    monkeypatch.setenv("STATE", "RUNNING")
    again = environment | {"SLURM_RESTART_COUNT": "1"}
    assert "finished nothing" in requeue(again, has_progress=False)
    assert "PCONV_REQUEUE" in requeue(environment | {"PCONV_REQUEUE": "no"}, has_progress=True)
    assert "requeue " not in calls.read_text()

    assert "next start" in requeue(again, has_progress=True)
    assert calls.read_text().splitlines()[-1] == "requeue 7_3"
