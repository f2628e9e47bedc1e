"""When a chain of starts goes on and when it stops, case by case."""

import dataclasses
from pathlib import Path

import pytest

from pconv_hpc.jobs.requeue.chain import (
    Action,
    Ending,
    Start,
    append_start,
    count_fruitless,
    decide,
    read_starts,
)
from pconv_hpc.jobs.requeue.fate import Fate


def ending(**changes: object) -> Ending:
    """An ordinary interruption after progress, with something changed."""
    ordinary: dict[str, object] = {
        "exit_code": 75,
        "finished": False,
        "interrupted": True,
        "fate": Fate.RUNNING,
        "progress_before": 10,
        "progress_after": 20,
        "fruitless_before": 0,
    }
    return Ending(**(ordinary | changes))  # type: ignore[arg-type]


def start(progress: int, chain: str = "7") -> Start:
    return Start(chain=chain, job_id=7, restart_count=0, progress=progress, time="")


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, Action.CONTINUE),
        ({"exit_code": 0, "finished": True}, Action.DONE),
        # srun may report 143 although every rank saved and said 75
        ({"exit_code": 143}, Action.CONTINUE),
        ({"exit_code": 143, "finished": True}, Action.DONE),
        # a crash is worth another start only after progress
        ({"exit_code": 137, "interrupted": False}, Action.CONTINUE),
        ({"exit_code": 1, "interrupted": False}, Action.CONTINUE),
        ({"exit_code": 1, "interrupted": False, "progress_after": 10}, Action.STOP),
        ({"exit_code": 143, "interrupted": False, "progress_after": 10}, Action.STOP),
        ({"exit_code": 0, "interrupted": False, "progress_after": 10}, Action.STOP),
        ({"exit_code": 2, "interrupted": False, "progress_after": 10}, Action.STOP),
        # what is complete there is another's: the program says so and leaves it
        ({"exit_code": 2, "interrupted": False, "finished": True}, Action.STOP),
        # stopped before the first step: once is bad luck, twice is a time limit that is too short
        ({"progress_after": 10}, Action.CONTINUE),
        ({"progress_after": 10, "fruitless_before": 1}, Action.STOP),
        # killed from outside, or USR2 before the program could catch it
        ({"exit_code": 137, "interrupted": False, "progress_after": 10}, Action.CONTINUE),
        (
            {
                "exit_code": 137,
                "interrupted": False,
                "progress_after": 10,
                "fruitless_before": 1,
            },
            Action.STOP,
        ),
        ({"exit_code": 140, "interrupted": False, "progress_after": 10}, Action.CONTINUE),
        # scancel, whatever the ranks managed to save
        ({"fate": Fate.CANCELLED}, Action.STOP),
        ({"fate": Fate.CANCELLED, "exit_code": 143}, Action.STOP),
        # a preempted start had no chance, however often
        ({"fate": Fate.PREEMPTED}, Action.CONTINUE),
        ({"fate": Fate.PREEMPTED, "progress_after": 10, "fruitless_before": 1}, Action.CONTINUE),
        ({"fate": Fate.PREEMPTED, "exit_code": 0, "finished": True}, Action.DONE),
        ({"fate": Fate.PREEMPTED, "exit_code": 2}, Action.STOP),
        ({"fate": Fate.REQUEUED, "progress_after": 10, "fruitless_before": 1}, Action.REQUEUED),
        # the ranks have saved, and Slurm does not say what becomes of the job
        ({"fate": Fate.UNKNOWN}, Action.CONTINUE),
        ({"fate": Fate.OUT_OF_TIME}, Action.CONTINUE),
    ],
)
def test_what_follows_a_start(changes: dict[str, object], action: Action) -> None:
    decided, reason = decide(ending(**changes))

    assert decided is action
    assert reason


def test_a_chain_that_gets_nowhere_says_why() -> None:
    _, reason = decide(ending(progress_after=10, fruitless_before=1))

    assert "2 starts in a row made no progress (still at 10)" in reason
    assert "--time" in reason


def test_starts_without_progress_are_counted_from_the_last_one() -> None:
    starts = [start(0), start(0), start(5), start(5)]

    assert count_fruitless(starts, chain="7", progress=5) == 2
    assert count_fruitless(starts, chain="7", progress=9) == 0
    assert count_fruitless(starts[:3], chain="7", progress=5) == 1
    assert count_fruitless([], chain="7", progress=0) == 0


def test_preempted_starts_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    for restart_count in range(3):
        begun = dataclasses.replace(start(5), restart_count=restart_count)
        append_start(path, begun)
        if restart_count:
            append_start(path, dataclasses.replace(begun, preempted=True))

    starts = read_starts(path)
    assert [s.restart_count for s in starts] == [0, 1, 2]
    assert count_fruitless(starts, chain="7", progress=5) == 1


def test_a_job_submitted_by_hand_begins_anew() -> None:
    assert count_fruitless([start(5), start(5)], chain="8", progress=5) == 0


def test_starts_survive_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "starts.jsonl"
    assert read_starts(path) == []
    append_start(path, start(1))
    with open(path, "a") as stream:
        stream.write('{"chain": "7", "job_')
        stream.write("\n[1]\n")
    append_start(path, start(2))

    assert [s.progress for s in read_starts(path)] == [1, 2]
