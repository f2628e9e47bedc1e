"""``jobs/train_a100.sbatch``, unchanged, on the real Slurm: it outlives what ends its starts."""

import os
import signal
from pathlib import Path

import pytest
import yaml

from pconv_hpc.cluster.folder_lock import LOCK_NAME
from pconv_hpc.training.checkpoint_files import list_checkpoints
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import (
    TrainingFolder,
    assert_same_weights,
    starts_of,
    uninterrupted,
    wait_for_checkpoint,
)

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]


def ranks_of(folder: TrainingFolder, name: str) -> list[int]:
    """Return the pids of the ranks of a run of this folder: children of slurmstepd."""
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            is_rank = b"pconv_hpc.commands.train" in words and name.encode() in words
            if is_rank and (entry / "comm").read_text().startswith("python"):
                # Another cluster of this machine may train a run of that name.
                pids += [int(entry.name)] if (entry / "cwd").samefile(folder.path) else []
        except OSError:
            continue
    return pids


def test_a_killed_rank_a_lost_node_and_preemption_cost_steps_but_never_the_run(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    run = folder.run("hurt")
    folder.set_seconds_per_step(0.2)
    job = folder.submit(slurm_cluster, "--partition=preemptible", "--exclusive", name="hurt")
    step = wait_for_checkpoint(run, after=0)
    os.kill(ranks_of(folder, "hurt")[-1], signal.SIGKILL)
    slurm_cluster.wait(job, "RUNNING", "PENDING", restarts=1)

    step = wait_for_checkpoint(run, after=step + 10)
    slurm_cluster.run("srun", "--partition=gpu", "--nodes=2", "--exclusive", "true")
    slurm_cluster.wait(job, "RUNNING", "PENDING", restarts=2)

    wait_for_checkpoint(run, after=step + 10)
    slurm_cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=test")
    folder.set_seconds_per_step(0)
    slurm_cluster.wait(job, "COMPLETED", restarts=3)

    log = folder.log(job)
    assert "ended with exit code 137 after progress" in log
    assert "DUE TO NODE FAILURE" in log
    assert "stopped by SIGUSR2" in log
    assert not (run.path / LOCK_NAME).exists()
    assert_same_weights(run, uninterrupted())


def test_where_requeue_is_forbidden_the_job_submits_its_successor(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    run = folder.run("chain")
    folder.set_seconds_per_step(0.2)
    job = folder.submit(slurm_cluster, "--no-requeue", "--time=17", name="chain")
    wait_for_checkpoint(run, after=0)
    folder.set_seconds_per_step(0)
    slurm_cluster.run("scancel", "--signal=USR2", str(job))
    slurm_cluster.wait(job, "COMPLETED")

    log = folder.log(job)
    successor = int(log.partition("submitted job ")[2].split()[0])
    (record,) = slurm_cluster.wait(successor, "COMPLETED")

    assert "requeue is not allowed here" in log
    assert record["TimeLimit"] == "00:17:00"
    assert (record["NumNodes"], record["TresPerNode"]) == ("2", "gres:gpu:a100:1")
    assert record["JobName"] == "pconv-train-chain"
    assert [start["chain"] for start in starts_of(run)] == [str(job)] * 2
    assert_same_weights(run, uninterrupted())


def test_a_cancelled_run_saves_is_not_requeued_and_keeps_others_out_while_it_lasts(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    run = folder.run("cancelled")
    folder.set_seconds_per_step(0.2)
    job = folder.submit(slurm_cluster, name="cancelled")
    wait_for_checkpoint(run, after=0)
    second = folder.submit(slurm_cluster, name="cancelled")
    (refused,) = slurm_cluster.wait(second, "FAILED")
    assert refused["ExitCode"] == "2:0"
    assert f"locked by job {job}" in folder.log(second)
    assert len(starts_of(run)) == 1

    slurm_cluster.run("scancel", str(job))
    (record,) = slurm_cluster.wait(job, "CANCELLED")

    assert record["Restarts"] == "0"
    state = run.read_state()
    assert state.status == "interrupted"
    assert list_checkpoints(run.checkpoints_dir)[-1].step == state.step
    assert slurm_cluster.squeue() == []


def test_gloo_trains_the_same_on_staged_copies(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    stage = folder.path / "node's disk"
    job = folder.submit(slurm_cluster, name="gloo", LAUNCHER="gloo", PCONV_STAGE_DIR=str(stage))

    slurm_cluster.wait(job, "COMPLETED")

    assert "2 rank(s) by gloo" in folder.log(job)
    assert len(list(stage.glob("*/index.json"))) == 2
    assert yaml.safe_load(folder.run("gloo").config_path.read_text())["data"]["train_index"] == str(
        folder.path / "packed/train/index.json"
    )
    assert_same_weights(folder.run("gloo"), uninterrupted())


def test_mpirun_hears_of_the_stop_through_the_batch_script(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    run = folder.run("mpirun")
    folder.set_seconds_per_step(0.2)
    job = folder.submit(slurm_cluster, name="mpirun", LAUNCHER="mpirun")
    wait_for_checkpoint(run, after=0)

    slurm_cluster.run("scancel", "--batch", "--signal=USR2", str(job))
    slurm_cluster.wait(job, "RUNNING", "PENDING", restarts=1)
    folder.set_seconds_per_step(0)
    slurm_cluster.wait(job, "COMPLETED", restarts=1)

    assert "stopped in time after progress" in folder.log(job)
    assert_same_weights(run, uninterrupted())
