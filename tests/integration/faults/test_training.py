"""Training that is killed, stopped, cut off from its disk, or started twice, in real processes.

A host that vanishes is in ``tests/integration/cluster/test_training_jobs.py``; one rank killed on
its own, or during a save, in ``tests/integration/training/test_runs.py``.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.training.checkpoint_files import list_checkpoints
from pconv_hpc.training.run_folder import RunFolder
from tests.integration.faults.interruptions import interrupt_and_compare, saved_step
from tests.integration.faults.running_training import obeying_modes, paused_run
from tests.integration.faults.small_disk import small_disk
from tests.support.same_runs import assert_same_run
from tests.support.training_runs import TOTAL_STEPS, RunTool, run_with_event

TRAIN = "tools/train.py"
STALL_SECONDS = 20
pytestmark = pytest.mark.mpi


def test_kills_and_a_rank_that_stands_still_cost_steps_but_never_the_run(
    references: dict[int, RunFolder],
    saving_often: Path,
    run_tool: RunTool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = RunFolder(tmp_path / "run")
    for event in (
        {"signal": "SIGKILL", "at_step": 4, "rank": 1, "after_seconds": 0.01},
        {"signal": "SIGKILL", "at_step": 5, "during_save": True},  # rank 0
        {"signal": "SIGKILL", "at_step": 9, "rank": -1},
    ):
        before = saved_step(folder)
        assert run_with_event(run_tool, saving_often, folder.path, 2, **event) == 137
        assert saved_step(folder) >= before
        assert folder.read_state().status != "finished"

    step = saved_step(folder)
    assert 4 <= step < TOTAL_STEPS - 2
    stand_still = {"signal": "SIGSTOP", "at_step": step + 3, "rank": 1}
    with monkeypatch.context() as patched:
        patched.setenv("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", str(STALL_SECONDS))
        assert run_with_event(run_tool, saving_often, folder.path, 2, **stand_still) == 75
    assert "no step was finished for 20 s: another rank hangs" in folder.log_path.read_text()
    run_tool("tools/resume.py", folder.path, "--ranks", 2)
    assert_same_run(folder, references[2])


def test_random_interruptions_end_in_the_same_weights_as_none(
    references: dict[int, RunFolder],
    saving_often: Path,
    run_tool: RunTool,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    seed = os.environ.get("PCONV_FAULT_SEED")  # set by the soak
    num_runs, most = (5, 6) if seed else (1, 2)
    count = 0
    for number in range(num_runs):
        count += interrupt_and_compare(
            run_tool,
            saving_often,
            RunFolder(tmp_path / f"run_{number}"),
            references[2],
            seed=num_runs * int(seed or 1) + number,
            most=most,
        )
    record_property("tried", count)
    assert count >= num_runs


def test_a_full_disk_stops_the_run_and_what_was_saved_continues(
    references: dict[int, RunFolder], saving_often: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", num_bytes=32 << 20) as disk:
        folder = RunFolder(disk.path / "run")
        with paused_run(saving_often, folder.path, at_step=8) as run:
            before = saved_step(folder)
            assert before > 0
            disk.fill(run.process.pid)
            ending = run.go_on()
        assert ending.code == 1
        assert str(folder.path) in ending.stderr
        assert disk.reason in ending.stderr
        assert "pconv-hpc resume" in ending.stderr
        assert "Traceback" not in ending.stderr
        assert saved_step(folder) >= before
        disk.make_room()
        run_tool("tools/resume.py", folder.path, "--local")
        assert_same_run(folder, references[1])


def test_a_second_start_is_refused_and_a_folder_that_turns_read_only_stops_the_first(
    references: dict[int, RunFolder], saving_often: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    with paused_run(saving_often, folder.path, at_step=8) as run:
        second = run_tool(TRAIN, saving_often, "--run-dir", folder.path, expect=(2,))
        assert f"process {run.process.pid}" in second.stderr
        assert "locked by process" in second.stderr
        before = saved_step(folder)
        folders = [folder.path, *(p for p in folder.path.rglob("*") if p.is_dir())]
        for path in folders:
            path.chmod(0o555)
        ending = run.go_on()
        for path in folders:
            path.chmod(0o755)
    assert ending.code == 1
    assert str(folder.path) in ending.stderr
    assert "Permission denied" in ending.stderr
    assert "Traceback" not in ending.stderr
    assert saved_step(folder) >= before
    run_tool("tools/resume.py", folder.path, "--local")
    assert_same_run(folder, references[1])


def test_a_folder_that_cannot_be_written_to_is_refused_on_all_ranks(
    saving_often: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o555)
    command = [*obeying_modes(), *mpirun_command(2, [sys.executable, TRAIN, str(saving_often)])]
    done = subprocess.run(
        [*command, "--run-dir", str(folder)], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 2
    assert f"{folder}: cannot be used as a run folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_without_the_two_newest_checkpoints_and_the_pointer_by_a_wrong_clock(
    references: dict[int, RunFolder], run_tool: RunTool, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(references[1].path, folder.path)
    *_, third, second, newest = list_checkpoints(folder.checkpoints_dir)
    newest.path.write_bytes(b"")
    second.path.write_bytes(second.path.read_bytes()[:-1])
    (folder.checkpoints_dir / "latest.json").unlink()
    for years, path in enumerate(sorted(folder.checkpoints_dir.iterdir(), reverse=True)):
        os.utime(path, (years * 3e7, years * 3e7))  # the newest is said to be of 1970, others later
    done = run_tool("tools/resume.py", folder.path, "--local")
    for checkpoint in (newest, second):
        assert f"{checkpoint.path}: damaged" in done.stderr
    assert f"continuing after step {third.step} " in done.stderr
    assert_same_run(folder, references[1])
