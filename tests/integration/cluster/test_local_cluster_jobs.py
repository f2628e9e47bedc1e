"""What job scripts rely on, on the real Slurm: MPI, GPUs, signals, requeue, arrays, lost nodes."""

import re
import sys
from pathlib import Path

import pytest

from tests.integration.cluster.slurm_client import SlurmClient

pytestmark = pytest.mark.cluster

_SHOW_RANK = """
from mpi4py import MPI
world = MPI.COMM_WORLD
print(f"rank {world.rank} of {world.size}, sum {world.allreduce(world.rank)}", flush=True)
"""

# Each rank says that it is ready, and ends with 75 when USR2 comes.
_WAIT_FOR_USR2 = """
import os, signal
signal.signal(signal.SIGUSR2, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
print("ready", os.environ["SLURM_PROCID"], flush=True)
signal.sigwait({signal.SIGUSR2})
print("signalled", os.environ["SLURM_PROCID"], flush=True)
raise SystemExit(75)
"""


def write_job(folder: Path, *lines: str) -> str:
    """Write a batch script whose log, job.log, survives a requeue; return its path."""
    script = folder / "job.sh"
    header = ["#!/bin/bash", "#SBATCH --output=job.log --open-mode=append"]
    script.write_text("\n".join([*header, *lines]) + "\n")
    return str(script)


def write_requeueing_job(folder: Path) -> str:
    """Write a job of two ranks on two nodes whose first start ends by USR2 and a requeue."""
    (folder / "ranks.py").write_text(_WAIT_FOR_USR2)
    return write_job(
        folder,
        "#SBATCH --nodes=2 --ntasks-per-node=1 --requeue",
        'echo "start ${SLURM_RESTART_COUNT:-0}"',
        '[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || exit 0',
        f"srun {sys.executable} ranks.py",
        'echo "srun ended with $?"',
        'scontrol requeue "$SLURM_JOB_ID"',
        "sleep 600",
    )


@pytest.mark.parametrize("launcher", ["srun --mpi=pmix --kill-on-bad-exit=1", "mpirun"])
def test_mpi_joins_ranks_of_two_nodes(
    slurm_cluster: SlurmClient, tmp_path: Path, launcher: str
) -> None:
    (tmp_path / "show_rank.py").write_text(_SHOW_RANK)
    script = write_job(
        tmp_path,
        "#SBATCH --nodes=2 --ntasks-per-node=2",
        "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
        f"{launcher} {sys.executable} show_rank.py",
    )

    slurm_cluster.wait(slurm_cluster.submit(script, cwd=tmp_path), "COMPLETED")

    # mpirun may put the line ends of two nodes behind both lines
    ranks = sorted(re.findall(r"rank \d of \d, sum \d", (tmp_path / "job.log").read_text()))
    assert ranks == [f"rank {rank} of 4, sum 6" for rank in range(4)]


@pytest.mark.parametrize(
    ("options", "visible"),
    [
        (["--gres=gpu:a100:2"], ["0,1"] * 4),
        (["--gpus-per-node=a100:2"], ["0,1"] * 4),
        (["--gpus-per-task=1"], ["0", "1", "0", "1"]),
        ([], [""] * 4),
    ],
)
def test_gpu_requests_set_cuda_visible_devices(
    slurm_cluster: SlurmClient, options: list[str], visible: list[str]
) -> None:
    show = 'echo "$SLURM_PROCID $CUDA_VISIBLE_DEVICES"'

    output = slurm_cluster.run("srun", "-N2", "--ntasks-per-node=2", *options, "bash", "-c", show)

    assert sorted(output.splitlines()) == [f"{rank} {gpus}" for rank, gpus in enumerate(visible)]


@pytest.mark.parametrize(
    "request_", ["--gres=gpu:a100:5", "--gres=gpu:v100:1", "--nodes=3", "--time=5-00:00:00"]
)
def test_requests_that_no_node_can_meet_are_refused(
    slurm_cluster: SlurmClient, tmp_path: Path, request_: str
) -> None:
    answer = slurm_cluster.run("sbatch", request_, "--wrap=true", check=False, cwd=tmp_path)

    assert "Submitted" not in answer
    assert slurm_cluster.squeue() == []


def test_usr2_before_the_time_limit_reaches_all_ranks_and_the_job_requeues(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    # slurmctld looks at time limits every 30 s: with 45 s to go before the end of one minute, the
    # signal comes at its first look after the start.
    script = write_requeueing_job(tmp_path)
    job = slurm_cluster.submit("--time=1", "--signal=USR2@45", script, cwd=tmp_path)

    (record,) = slurm_cluster.wait(job, "COMPLETED", restarts=1)

    log = (tmp_path / "job.log").read_text()
    assert record["Restarts"] == "1"
    assert re.findall(r"^start \d", log, re.MULTILINE) == ["start 0", "start 1"]
    assert {"signalled 0", "signalled 1"} <= set(log.splitlines())
    assert "srun ended with 75" in log


def test_scancel_can_send_usr2_at_any_time(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    job = slurm_cluster.submit(write_requeueing_job(tmp_path), cwd=tmp_path)
    slurm_cluster.wait_for_text(tmp_path / "job.log", "ready 0")
    slurm_cluster.wait_for_text(tmp_path / "job.log", "ready 1")

    slurm_cluster.run("scancel", "--signal=USR2", str(job))

    slurm_cluster.wait(job, "COMPLETED", restarts=1)
    assert "srun ended with 75" in (tmp_path / "job.log").read_text()


def test_preemption_sends_usr2_and_requeues(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    script = write_requeueing_job(tmp_path)
    low = ("--partition=preemptible", "--exclusive", "--signal=USR2@45")
    job = slurm_cluster.submit(*low, script, cwd=tmp_path)
    slurm_cluster.wait_for_text(tmp_path / "job.log", "ready 0")
    slurm_cluster.wait_for_text(tmp_path / "job.log", "ready 1")

    slurm_cluster.run("srun", "--partition=gpu", "--nodes=2", "--exclusive", "true")

    slurm_cluster.wait(job, "COMPLETED", restarts=1)
    assert "signalled 1" in (tmp_path / "job.log").read_text()


def test_a_lost_node_requeues_its_job(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    script = write_requeueing_job(tmp_path)
    job = slurm_cluster.submit(script, cwd=tmp_path)
    slurm_cluster.wait_for_text(tmp_path / "job.log", "ready 1")

    slurm_cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=test")

    slurm_cluster.wait(job, "COMPLETED", restarts=1)
    log = (tmp_path / "job.log").read_text()
    assert "DUE TO NODE FAILURE" in log
    assert "signalled" not in log


def test_no_requeue_is_respected(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    script = write_job(
        tmp_path, 'scontrol requeue "$SLURM_JOB_ID"', 'echo "scontrol ended with $?"'
    )
    job = slurm_cluster.submit("--no-requeue", script, cwd=tmp_path)

    slurm_cluster.wait(job, "COMPLETED")

    assert "scontrol ended with 1" in (tmp_path / "job.log").read_text()


def test_large_array_indices_run(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    job = slurm_cluster.submit(
        "--array=0,1001,10000",
        "--output=%a.log",
        '--wrap=echo "task $SLURM_ARRAY_TASK_ID of job $SLURM_ARRAY_JOB_ID"',
        cwd=tmp_path,
    )

    assert len(slurm_cluster.wait(job, "COMPLETED")) == 3

    for index in (0, 1001, 10000):
        assert (tmp_path / f"{index}.log").read_text() == f"task {index} of job {job}\n"


def test_singletons_run_one_after_the_other(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    # Each job fails if it finds another's folder.
    work = "--wrap=mkdir lock && sleep 1 && rmdir lock"
    singleton = ("--job-name=chain", "--dependency=singleton", work)

    jobs = [slurm_cluster.submit(*singleton, cwd=tmp_path) for _ in range(2)]

    for job in jobs:
        slurm_cluster.wait(job, "COMPLETED")


def test_squeue_shows_what_waits_and_runs(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    running = slurm_cluster.submit("--wrap=sleep 600", "--job-name=one", cwd=tmp_path)
    slurm_cluster.wait(running, "RUNNING")
    held = slurm_cluster.submit("--hold", "--wrap=true", "--job-name=two", cwd=tmp_path)

    found = {row["JobID"]: (row["Name"], row["State"]) for row in slurm_cluster.squeue()}

    assert found == {str(running): ("one", "RUNNING"), str(held): ("two", "PENDING")}


def test_fates_of_past_jobs_are_logged(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    fine = slurm_cluster.submit("--wrap=true", cwd=tmp_path)
    bad = slurm_cluster.submit("--wrap=exit 3", cwd=tmp_path)
    slurm_cluster.wait(fine, "COMPLETED")
    slurm_cluster.wait(bad, "FAILED")

    form = "--format=JobID,State"
    table = slurm_cluster.run("sacct", "--completion", "--noheader", form)

    fates = [tuple(line.split()) for line in table.splitlines()]
    assert (str(fine), "COMPLETED") in fates
    assert (str(bad), "FAILED") in fates


def test_jobs_inherit_no_blocked_signals(slurm_cluster: SlurmClient) -> None:
    output = slurm_cluster.run("srun", "grep", "SigBlk", "/proc/self/status")

    assert int(output.split()[1], 16) == 0
