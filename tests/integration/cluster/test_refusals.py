"""Jobs that cannot work end at once and say why; nothing is paid for and nothing is touched."""

import json
import stat
import sys
from pathlib import Path

import pytest

from pconv_hpc.jobs.requeue.chain import STARTS_NAME, Start, append_start
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import TRAIN_JOB, TWO_NODES, TrainingFolder, starts_of

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TrainingFolder:
    return TrainingFolder.make(tmp_path_factory.mktemp("refusals"))


def failed_log(client: SlurmClient, folder: TrainingFolder, job: int, exit_code: int) -> str:
    """Wait for a job to fail with an exit code, and not to be continued; return its log."""
    (record,) = client.wait(job, "FAILED")
    assert (record["ExitCode"], record["Restarts"]) == (f"{exit_code}:0", "0")
    assert client.squeue() == []
    log = folder.log(job)
    assert "Traceback" not in log
    return log


@pytest.mark.parametrize("gres", ["none", "gpu:a100:3"])
def test_gpus_that_do_not_match_the_tasks(
    slurm_cluster: SlurmClient, folder: TrainingFolder, gres: str
) -> None:
    needs_gpus = ("train.require_gpu=true",)
    job = folder.submit(slurm_cluster, f"--gres={gres}", name="gpus", overrides=needs_gpus)

    log = failed_log(slurm_cluster, folder, job, 2)

    assert f"the job has {gres[-1] if gres[-1].isdigit() else 0} GPU(s) and 1 task(s)" in log
    assert not (folder.path / "gpus").exists()


def test_a_rank_that_sees_no_gpu(slurm_cluster: SlurmClient, folder: TrainingFolder) -> None:
    # The job has GPUs, but they are fakes that CUDA does not find: a broken driver looks the same.
    job = folder.submit(slurm_cluster, name="blind", overrides=("train.require_gpu=true",))

    (record,) = slurm_cluster.wait(job, "FAILED")

    log = folder.log(job)
    assert record["Restarts"] == "0"
    assert "rank 0 sees no GPU, but train.require_gpu is true (CUDA_VISIBLE_DEVICES is 0)" in log
    assert len(starts_of(folder.run("blind"))) == 1
    assert slurm_cluster.squeue() == []


def test_a_launcher_that_leaves_every_rank_alone(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    # srun alone does not tell Horovod's Gloo where the other ranks are.
    gloo = {"HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo"}
    job = folder.submit(slurm_cluster, name="alone", LAUNCHER="srun-none", **gloo)

    (record,) = slurm_cluster.wait(job, "FAILED")

    assert "2 ranks were started, but Horovod sees 1" in folder.log(job)
    assert record["Restarts"] == "0"
    assert not folder.run("alone").exists


def test_a_python_without_packages(slurm_cluster: SlurmClient, folder: TrainingFolder) -> None:
    bare = folder.path / "bare"
    bare.mkdir()
    (bare / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (bare / "python").chmod(stat.S_IRWXU)
    site = folder.path / "bare.sh"
    site.write_text(f'load_environment() {{ PATH="{bare}:$PATH"; }}\n')

    job = folder.submit(slurm_cluster, name="bare", PCONV_SITE=str(site))

    log = failed_log(slurm_cluster, folder, job, 2)
    assert "the job's Python has no yaml, h5py, numpy" in log
    assert "tensorflow, horovod: load_environment in the site file" in log


def test_no_site_file_and_no_such_launcher(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    job = folder.submit(slurm_cluster, name="x", PCONV_SITE="/nowhere/site.sh")
    assert "/nowhere/site.sh is missing" in failed_log(slurm_cluster, folder, job, 2)

    job = folder.submit(slurm_cluster, name="x", LAUNCHER="ssh")
    assert "LAUNCHER=ssh: expected one of" in failed_log(slurm_cluster, folder, job, 2)
    assert not (folder.path / "x").exists()


@pytest.mark.parametrize("request_", ["--gres=gpu:v100:1", "--gres=gpu:a100:5"])
def test_gpus_that_no_node_has(
    slurm_cluster: SlurmClient, folder: TrainingFolder, request_: str
) -> None:
    options = [option for option in TWO_NODES if not option.startswith("--gres")]
    answer = slurm_cluster.run("sbatch", *options, request_, str(TRAIN_JOB), check=False)

    assert "Submitted" not in answer
    assert slurm_cluster.squeue() == []


def test_a_chain_whose_starts_bring_nothing(
    slurm_cluster: SlurmClient, folder: TrainingFolder
) -> None:
    run = folder.path / "stuck"
    run.mkdir()
    for restart_count in (0, 1):
        start = Start(
            chain="99", job_id=99, restart_count=restart_count, progress=0, time="", options={}
        )
        append_start(run / STARTS_NAME, start)

    job = folder.submit(slurm_cluster, name="stuck", PCONV_CHAIN="99")

    log = failed_log(slurm_cluster, folder, job, 1)
    assert "not started: 2 starts in a row made no progress (still at 0)" in log
    assert "srun ended" not in log
    assert [json.loads(line)["chain"] for line in (run / STARTS_NAME).open()] == ["99"] * 3


def test_arguments_that_make_no_sense(slurm_cluster: SlurmClient, folder: TrainingFolder) -> None:
    job = folder.submit(slurm_cluster, name="y", overrides=("train.speed=3",))
    assert "valid keys: epochs" in failed_log(slurm_cluster, folder, job, 2)
    assert not Path(folder.path / "y").exists()
