"""One slice: every photo accounted for once, whatever ends its stages, its task, or its turn."""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder import slice_stages
from pconv_hpc.erasing.folder.ledger import LedgerWriter, read_slice
from pconv_hpc.erasing.folder.slice_runner import SliceRunner, forgive_failures, log_path
from pconv_hpc.erasing.folder.slice_summary import read_done, summarise
from pconv_hpc.erasing.stage_programs import Programs
from tests.support.fake_stages import FakeFolder
from tests.support.slice_runs import run, start
from tests.support.waiting import end_of, wait_until


@pytest.fixture
def programs() -> Iterator[Programs]:
    with Programs() as programs:
        yield programs


def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: Mapping[str, str], empty: str = "copy"
) -> FakeFolder:
    folder = FakeFolder(tmp_path, wishes, empty=empty)
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    return folder


def statuses(folder: FakeFolder) -> dict[str, str]:
    outcomes = read_slice(folder.manifest.slice_dir(0)).outcomes
    return {
        photo: "set aside" if outcome.is_set_aside else outcome.status
        for photo, outcome in outcomes.items()
    }


ODD_NAMES = ("two\nlines.jpg", "-rf.jpg", "ünï ☃/a'b\".jpg", os.fsdecode(b"latin\xe4/\xff.jpg"))


def test_every_photo_is_erased_copied_or_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = dict.fromkeys(ODD_NAMES, "star") | {"empty\n.jpg": "empty", "bad.jpg": "fail"}
    folder = make(tmp_path, monkeypatch, wishes)
    ending = run(folder, programs)
    assert (ending.exit_code, ending.has_progress) == (1, True)
    assert set(folder.outputs()) == {*ODD_NAMES, "empty\n.jpg"}
    assert (folder.manifest.erased / "empty\n.jpg").read_text() == "empty"
    assert statuses(folder) == {
        **dict.fromkeys(ODD_NAMES, "erased"),
        "empty\n.jpg": "empty",
        "bad.jpg": "failed",
    }
    summary = ending.summary
    assert (summary.erased, summary.empty, summary.failed, summary.remaining) == (4, 1, 1, 1)
    assert summary.classes == {"star": 8}
    assert summary.reasons == {"a reason": 1}
    assert [call[0] for call in folder.calls()] == ["segment", "inpaint"]


def test_photos_without_objects_may_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "empty"}, empty="skip")
    assert run(folder, programs).exit_code == 0
    assert folder.outputs() == {}
    assert statuses(folder) == {"a.jpg": "empty"}
    assert not read_slice(folder.manifest.slice_dir(0)).outcomes["a.jpg"].copied


def test_what_is_finished_is_not_touched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = {"a.jpg": "star", "b.jpg": "empty", "c.jpg": "fail", "d.jpg": "fail in inpaint"}
    folder = make(tmp_path, monkeypatch, wishes)
    assert run(folder, programs).exit_code == 1
    outputs, num_calls = folder.outputs(), len(folder.calls())
    folder.wish(tmp_path / "photos/c.jpg", "star")
    folder.wish(tmp_path / "photos/d.jpg", "star")
    assert run(folder, programs).exit_code == 0
    assert folder.calls()[num_calls:] == [
        ("segment", 1, ["c.jpg"]),  # what failed is tried alone
        ("inpaint", 4, ["c.jpg"]),
        ("inpaint", 1, ["d.jpg"]),
    ]
    assert {name: stamp for name, stamp in folder.outputs().items() if name in outputs} == outputs
    assert read_done(folder.manifest.slice_dir(0)) == summarise(folder.manifest, 0)

    again = run(folder, programs)
    assert (again.exit_code, again.has_progress) == (0, False)
    assert len(folder.calls()) == num_calls + 3


def test_a_photo_that_fails_three_times_is_set_aside_until_it_is_forgiven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "star", "b.jpg": "fail", "c.jpg": "fail"})
    assert [run(folder, programs).exit_code for _ in range(4)] == [1, 1, 0, 0]
    assert statuses(folder) == {"a.jpg": "erased", "b.jpg": "set aside", "c.jpg": "set aside"}
    assert len(folder.calls()) == 1 + 3
    summary = summarise(folder.manifest, 0)
    assert (summary.set_aside, summary.failed, summary.remaining) == (2, 0, 0)
    assert summary.reasons == {"a reason": 2}

    folder.wish(tmp_path / "photos/b.jpg", "star")
    assert forgive_failures(folder.manifest, 0, {}) == 2
    assert summarise(folder.manifest, 0).remaining == 2
    assert run(folder, programs).exit_code == 1
    assert statuses(folder) == {"a.jpg": "erased", "b.jpg": "erased", "c.jpg": "failed"}
    assert forgive_failures(folder.manifest, 0, {}) == 0


@pytest.mark.parametrize("where", ["", " in inpaint"])
def test_only_photos_that_kill_their_stage_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs, where: str
) -> None:
    wishes = {f"{index:02}.jpg": "star" for index in range(16)}
    killers = {"05.jpg", "06.jpg", "15.jpg"}
    folder = make(tmp_path, monkeypatch, wishes | dict.fromkeys(killers, f"kill{where}"))
    ending = run(folder, programs)
    assert ending.exit_code == 0
    assert {n for n, status in statuses(folder).items() if status == "set aside"} == killers
    assert set(folder.outputs()) == set(wishes) - killers
    stage = "inpaint" if where else "segment"
    assert ending.summary.reasons == {
        f"{stage} was killed by SIGKILL while working on this photo": 3
    }
    # two deaths in company, as 5 and 6 are begun together, then two more for each alone
    assert len(folder.calls()) == 2 + 3 * 2 + 1


def test_a_stage_that_breaks_over_a_photo_is_like_one_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = {f"{index}.jpg": "star" for index in range(6)} | {"3.jpg": "raise"}
    folder = make(tmp_path, monkeypatch, wishes)
    assert run(folder, programs).exit_code == 0
    assert statuses(folder).pop("3.jpg") == "set aside"
    assert set(folder.outputs()) == set(wishes) - {"3.jpg"}


def test_a_stage_that_says_nothing_about_a_photo_fails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "silent", "b.jpg": "star"})
    ending = run(folder, programs)
    assert ending.exit_code == 1
    assert ending.summary.reasons == {
        "segment exited without recording what became of this photo": 1
    }
    assert statuses(folder) == {"a.jpg": "failed", "b.jpg": "erased"}


def test_bad_input_is_nobodys_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "usage", "b.jpg": "star"})
    assert run(folder, programs).exit_code == 2
    assert statuses(folder) == {"a.jpg": "left", "b.jpg": "left"}


def test_a_stage_that_always_dies_is_not_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {f"{index:03}.jpg": "kill" for index in range(100)})
    assert run(folder, programs).exit_code == 1
    assert len(folder.calls()) == 10
    broken = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    (folder.tools / "segment.py").write_text(broken)
    failures = summarise(folder.manifest, 0).failed
    assert run(folder, programs).exit_code == 1
    assert summarise(folder.manifest, 0).failed == failures, "no photo was begun"


@pytest.mark.parametrize("wish", ["stop me", "stop me in inpaint"])
def test_a_stop_is_passed_on_and_costs_nobody_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    wishes = {f"{index}.jpg": "star" for index in range(8)} | {"5.jpg": wish}
    folder = make(tmp_path, monkeypatch, wishes)
    with Programs() as programs:
        ending = run(folder, programs)
        assert programs.signal_name == "SIGUSR2"
    assert (ending.exit_code, ending.has_progress) == (75, True)
    assert statuses(folder)["5.jpg"] == "left"
    outputs = folder.outputs()
    folder.wish(tmp_path / "photos/5.jpg", "star")
    with Programs() as programs:
        assert run(folder, programs).exit_code == 0
    assert {name: stamp for name, stamp in folder.outputs().items() if name in outputs} == outputs
    assert set(statuses(folder).values()) == {"erased"}


def test_a_lost_mask_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "star", "b.jpg": "fail in inpaint"})
    assert run(folder, programs).exit_code == 1
    (folder.manifest.found / "masks/b.jpg.png").unlink()
    folder.wish(tmp_path / "photos/b.jpg", "star")
    assert run(folder, programs).exit_code == 0
    assert set(folder.outputs()) == {"a.jpg", "b.jpg"}


def test_what_cannot_be_copied_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a/b.jpg": "empty", "c.jpg": "star"})
    folder.manifest.erased.mkdir()
    (folder.manifest.erased / "a").write_text("a file where a folder must be")
    ending = run(folder, programs)
    assert ending.exit_code == 1
    assert list(ending.summary.reasons) == ["cannot be copied (File exists)"]


def test_two_at_one_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "star", "b.jpg": "slow", "c.jpg": "star"})
    first = start(folder)
    wait_until(folder.slow_file.exists, first)
    names = sorted(path.name for path in folder.manifest.slice_dir(0).iterdir())
    second = run(folder, programs)
    assert (second.exit_code, second.has_progress) == (0, False)
    assert second.summary.remaining == 3
    assert sorted(path.name for path in folder.manifest.slice_dir(0).iterdir()) == names
    assert len(folder.calls()) == 1
    first.send_signal(signal.SIGTERM)
    end_of(first)
    assert first.returncode == 75
    folder.wish(tmp_path / "photos/b.jpg", "star")
    assert run(folder, programs).exit_code == 0
    assert set(statuses(folder).values()) == {"erased"}


def test_a_runner_that_is_killed_takes_its_stage_along_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = {f"{index}.jpg": "star" for index in range(9)} | {"6.jpg": "slow in inpaint"}
    folder = make(tmp_path, monkeypatch, wishes)
    runner = start(folder)
    wait_until(folder.slow_file.exists, runner)
    children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
    assert len(children) == 1
    runner.kill()
    runner.wait()
    wait_until(lambda: not Path(f"/proc/{children[0]}").exists())  # it does not outlive its runner
    outputs = folder.outputs()
    assert 0 < len(outputs) < 9
    erased, slice_dir = folder.manifest.erased, folder.manifest.slice_dir(0)
    torn = erased / ".6.jpg.here.1234.tmp", slice_dir / ".todo.jsonl.here.1234.tmp"
    others = slice_dir / ".lock.elsewhere.7.tmp", folder.manifest.out / ".6.jpg.here.1234.tmp"
    for path in (*torn, *others):
        path.touch()
    with LedgerWriter(slice_dir / "20260101T0-hostile.jsonl") as ledger:
        for name in ("../6.jpg", "nul\0"):
            ledger.write(name, "begun", stage="inpaint")
    folder.wish(tmp_path / "photos/6.jpg", "star")
    assert run(folder, programs).exit_code == 0
    assert {name: stamp for name, stamp in folder.outputs().items() if name in outputs} == outputs
    assert {statuses(folder)[photo] for photo in wishes} == {"erased"}
    assert not any(path.exists() for path in torn)
    assert all(path.exists() for path in others), "only what is this slice's own is removed"
    # those that were at work when it ended came last and alone
    assert folder.calls()[-1][:2] == ("inpaint", 1)
    assert "6.jpg" in folder.calls()[-1][2]


def test_half_a_copy_of_a_killed_task_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "empty"})
    with LedgerWriter(folder.manifest.slice_dir(0) / "20260101T0-killed.jsonl") as ledger:
        ledger.write("a.jpg", "begun", stage="segment")
        ledger.write("a.jpg", "found", stage="segment", classes={})
    folder.manifest.erased.mkdir()
    (folder.manifest.erased / ".a.jpg.here.1234.tmp").touch()
    assert run(folder, programs).exit_code == 0
    assert [path.name for path in folder.manifest.erased.iterdir()] == ["a.jpg"]


def test_a_task_that_a_photo_kills_again_and_again_sets_it_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = {f"{index}.jpg": "star" for index in range(6)} | {"2.jpg": "slow"}
    folder = make(tmp_path, monkeypatch, wishes)
    for _ in range(3):  # as an out-of-memory killer does that takes the whole task
        runner = start(folder)
        wait_until(folder.slow_file.exists, runner)
        folder.slow_file.unlink()
        runner.kill()
        runner.wait()
    assert run(folder, programs).exit_code == 0
    found = statuses(folder)
    assert found.pop("2.jpg") == "set aside"
    assert set(found.values()) == {"erased"}
    assert list(summarise(folder.manifest, 0).reasons) == [
        "the task ended while segment was working on this photo"
    ]


def test_messages_and_output_of_stages_go_to_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs, capfd: object
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "star"})
    with open(folder.tools / "inpaint.py", "a") as program:
        program.write("\nprint('said by the stage')\n")
    (folder.tools / "inpaint.py").write_text(
        (folder.tools / "inpaint.py").read_text().replace("sys.exit(failed)", "print('said')")
    )
    log = log_path(folder.manifest, 0)
    SliceRunner(folder.manifest, 0, programs, environment={}, log=log).run()
    text = log.read_text()
    assert "slice 0 of 1: segment: 1 photos" in text
    assert "said by the stage" in text
    assert "1 erased" in text
    assert capfd.readouterr().out == ""  # type: ignore[attr-defined]


def test_failures_are_not_forgiven_behind_a_workers_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = make(tmp_path, monkeypatch, {"a.jpg": "fail"})
    for _ in range(3):
        run(folder, programs)
    with FolderLock(folder.manifest.slice_dir(0), {}), pytest.raises(Exception, match="locked by"):
        forgive_failures(folder.manifest, 0, {})
    assert read_done(folder.manifest.slice_dir(0)) is not None
