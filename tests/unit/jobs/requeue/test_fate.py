"""What becomes of a job, from records as Slurm 22.05 shows them (some of older versions)."""

from datetime import datetime, timedelta

import pytest

from pconv_hpc.jobs.requeue.fate import Fate, ask_fate, fate_of, is_being_ended
from tests.support.fake_slurm import FakeSlurm

NOON = "2026-11-29T12:00:00"


def record(state: str, **more: str) -> dict[str, str]:
    return {"JobState": state, "Reason": "None", "Restarts": "1", "PreemptTime": "None", **more}


def after(seconds: float) -> str:
    return (datetime.fromisoformat(NOON) + timedelta(seconds=seconds)).isoformat()


IN_GRACE = {"PreemptTime": NOON, "EndTime": after(60)}


@pytest.mark.parametrize(
    ("found", "is_told_to_end", "fate"),
    [
        (record("RUNNING"), False, Fate.RUNNING),
        ({"JobState": "RUNNING"}, False, Fate.RUNNING),
        (record("SUSPENDED"), False, Fate.RUNNING),
        # scancel, and scancel --signal=TERM --full
        (record("COMPLETING", EndTime=NOON), True, Fate.CANCELLED),
        (record("CANCELLED", EndTime=NOON), False, Fate.CANCELLED),
        (record("RUNNING"), True, Fate.CANCELLED),
        # in its grace: USR2 or TERM to the ranks, and TERM to the batch script
        (record("RUNNING", **IN_GRACE), False, Fate.PREEMPTED),
        (record("RUNNING", **IN_GRACE), True, Fate.PREEMPTED),
        # scancel within the grace
        (record("COMPLETING", PreemptTime=NOON, EndTime=after(20)), True, Fate.CANCELLED),
        # at its end; what Slurm cannot requeue it ends
        (record("COMPLETING", Restarts="2"), True, Fate.REQUEUED),
        (record("COMPLETING", PreemptTime=NOON, EndTime=NOON), True, Fate.PREEMPTED),
        (record("COMPLETING", PreemptTime=NOON, EndTime=after(75)), True, Fate.PREEMPTED),
        (record("COMPLETING", PreemptTime="Today", EndTime="12:00"), True, Fate.PREEMPTED),
        (record("PREEMPTED"), True, Fate.PREEMPTED),
        # scontrol requeue
        (record("PENDING", Restarts="2"), True, Fate.REQUEUED),
        (record("COMPLETING", Reason="TimeLimit"), True, Fate.OUT_OF_TIME),
        (record("COMPLETING", Reason="NodeDown"), True, Fate.OUT_OF_TIME),
        (None, True, Fate.UNKNOWN),
    ],
)
def test_the_record_tells_what_signals_do_not(
    found: dict[str, str] | None, is_told_to_end: bool, fate: Fate
) -> None:
    assert fate is fate_of(found, restart_count=1, is_told_to_end=is_told_to_end, grace_seconds=60)


def test_where_the_grace_is_not_known_a_preempted_job_goes_on() -> None:
    found = record("COMPLETING", PreemptTime=NOON, EndTime=after(20))
    assert fate_of(found, restart_count=1, is_told_to_end=True) is Fate.PREEMPTED


def test_processes_are_being_ended_when_the_job_is_over_or_its_grace() -> None:
    now = datetime.now()
    assert is_being_ended(record("COMPLETING"))
    assert is_being_ended(record("RUNNING", EndTime=(now - timedelta(seconds=1)).isoformat()))
    assert not is_being_ended(record("RUNNING", EndTime=(now + timedelta(hours=1)).isoformat()))
    assert not is_being_ended(record("RUNNING", EndTime="Unknown"))


def test_a_controller_that_is_gone_says_nothing(slurm: FakeSlurm) -> None:
    slurm.answer(silent_calls=99)
    assert ask_fate(9, restart_count=0, is_told_to_end=True) == (Fate.UNKNOWN, {})
    slurm.answer()
    assert ask_fate(9, restart_count=0, is_told_to_end=False)[0] is Fate.RUNNING
