"""One start of a job where Slurm, or what is given to it, does not do what it should.

What it does on a Slurm that answers is in ``tests/integration/cluster/test_training_jobs.py``.
"""

import os
import signal
from pathlib import Path

import pytest

from pconv_hpc.cluster.job_environment import JobEnvironment
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_INTERRUPTED, PconvError, UsageError
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.jobs.requeue.chain import STARTS_NAME, Start, append_start, read_starts
from pconv_hpc.jobs.requeue.supervisor import Supervisor
from pconv_hpc.jobs.requeue.work import Work
from tests.support.fake_slurm import FakeSlurm


class Saving(Work):
    """Work whose ranks save something each time they are started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, job: JobEnvironment, launcher: str) -> None:
        return

    def program(self) -> list[str]:
        return ["ranks"]

    def progress(self) -> int:
        return len(list(self.folder.glob("saved*")))

    def is_finished(self) -> bool:
        return False


def start(folder: Path, earlier: StopRequest | None = None, **more: str) -> int:
    environment = {**os.environ, "SLURM_JOB_ID": "9", **more}
    supervisor = Supervisor(
        Saving(folder),
        arguments=[],
        job=JobEnvironment.read(environment),
        environment=environment,
        earlier=earlier,
    )
    return supervisor.run()


@pytest.mark.parametrize("for_ever", [False, True])
def test_a_controller_that_does_not_answer_at_the_end_is_asked_again(
    slurm: FakeSlurm, tmp_path: Path, for_ever: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    silence = slurm.silence_about_jobs() if for_ever else slurm.silence(2)
    slurm.answer(srun=f"touch '{run}/saved'; {silence}; exit 75")
    assert start(run) == EXIT_DONE
    assert slurm.calls()[-1] == "scontrol requeue 9"
    said = capfd.readouterr().out
    assert "stopped in time after progress (0 → 1)" in said
    assert ("assuming that the job goes on" in said) == for_ever


NOON, LATER = "2020-11-29T12:00:00", "2126-11-29T12:00:00"
IN_GRACE = f"PreemptTime={NOON} EndTime={LATER}"
TERM = "kill -TERM $PPID"


@pytest.mark.parametrize(
    "moments",
    [
        "touch saved",  # USR2, or TERM, to the ranks alone
        f"{TERM}; touch saved",
        f"touch saved; {TERM}",
        f"{TERM}; {TERM}",  # before there was anything to save
    ],
)
def test_a_preempted_job_goes_on_whatever_comes_first(
    slurm: FakeSlurm, tmp_path: Path, moments: str
) -> None:
    run = tmp_path / "run"
    slurm.answer(fields=IN_GRACE, srun=f"cd '{run}'; {moments}; exit 75")
    for _ in range(3):
        assert start(run) == EXIT_DONE
        assert slurm.calls()[-1] == "scontrol requeue 9"
    assert all(noted.preempted for noted in read_starts(run / STARTS_NAME))


def test_term_during_the_imports_is_not_forgotten(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer(fields=IN_GRACE)
    with StopRequest() as earlier:
        os.kill(os.getpid(), signal.SIGTERM)
        assert start(tmp_path / "run", earlier) == EXIT_DONE
    assert [call for call in slurm.calls() if call != "scontrol requeue 9"] == [], "no ranks"


@pytest.mark.parametrize(("state", "end"), [("COMPLETING", NOON), ("RUNNING", NOON)])
def test_when_the_grace_is_over_the_next_start_does_not_wait_for_the_ranks(
    slurm: FakeSlurm, tmp_path: Path, state: str, end: str
) -> None:
    ranks = f"{TERM}; {slurm.wait_for('scontrol requeue')}; kill -KILL $$"
    slurm.answer(state=state, fields=f"PreemptTime={NOON} EndTime={end}", srun=ranks)
    assert start(tmp_path / "run") == EXIT_DONE
    assert [call for call in slurm.calls() if "srun" not in call] == ["scontrol requeue 9"]


def test_at_the_time_limit_what_is_saved_at_the_last_moment_counts(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    noted = Start(chain="9", job_id=9, restart_count=0, progress=0, time="")
    append_start(run / STARTS_NAME, noted)  # one that brought nothing; a second would be too many
    ranks = f"{TERM}; sleep 2; touch '{run}/saved'; {slurm.wait_for('scontrol requeue')}"
    slurm.answer(state="COMPLETING", reason="TimeLimit", srun=f"{ranks}; kill -KILL $$")
    assert start(run) == EXIT_DONE
    assert slurm.calls()[-1] == "scontrol requeue 9"


def test_what_slurm_has_requeued_itself_is_left_to_it(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer(state="COMPLETING", fields="Restarts=1", srun=f"{TERM}; exit 143")
    assert start(tmp_path / "run") == EXIT_DONE
    assert [call for call in slurm.calls() if "srun" not in call] == []


def test_what_slurm_requeues_at_the_same_moment_gets_no_successor(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    meanwhile = f"{IN_GRACE} Restarts={slurm.count('scontrol requeue')}"
    slurm.answer(fields=meanwhile, refusal="Job is pending execution", srun="exit 75")
    assert start(tmp_path / "run") == EXIT_DONE
    assert slurm.calls()[-1] == "scontrol requeue 9"


@pytest.mark.parametrize(
    ("state", "fields"),
    [("COMPLETING", f"PreemptTime=None EndTime={NOON}"), ("RUNNING", "PreemptTime=None")],
)
def test_scancel_ends_a_job_that_has_saved(
    slurm: FakeSlurm, tmp_path: Path, state: str, fields: str
) -> None:
    run = tmp_path / "run"
    slurm.answer(state=state, fields=fields, srun=f"{TERM}; touch '{run}/saved'; exit 75")
    assert start(run) == EXIT_INTERRUPTED
    assert [call for call in slurm.calls() if "srun" not in call] == []


def test_without_any_answer_it_says_how_to_go_on(slurm: FakeSlurm, tmp_path: Path) -> None:
    run = tmp_path / "run"
    slurm.answer(srun=f"touch '{run}/saved'; {slurm.silence(9999)}; exit 75")
    with pytest.raises(PconvError, match="Slurm does not answer"):
        start(run)


def test_a_folder_that_cannot_be_is_refused(slurm: FakeSlurm, tmp_path: Path) -> None:
    slurm.answer()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"{tmp_path}/file/run: cannot be written to"):
        start(tmp_path / "file/run")


def test_a_time_that_is_none_is_refused_before_anything_runs(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    slurm.answer()
    with pytest.raises(UsageError, match="PCONV_MPIRUN_STOP_SECONDS is '5m'; expected seconds"):
        start(tmp_path / "run", PCONV_MPIRUN_STOP_SECONDS="5m")
    assert not [call for call in slurm.calls() if call.startswith("srun")]
