"""Jobs in a preemptible partition of the real Slurm, their pace set by the tests.

Slurm sends a preempted job USR2 or TERM, as it is configured, and ends it when its grace is over,
whether it has saved or not.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.erasing.folder.manifest import read_manifest
from pconv_hpc.erasing.folder.slice_summary import summarise
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.training.run_folder import RunFolder
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import (
    TrainingFolder,
    assert_same_weights,
    starts_of,
    uninterrupted,
    wait_for_checkpoint,
)
from tests.support.assets.shape_photos import ShapePhotos
from tests.support.assets.small_network import CHECKPOINT, CONFIG
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import photo_bytes
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]

LONG_S = 600.0  # longer than any grace here, and than Slurm's KillWait
PREEMPTIBLE = ("--partition=preemptible", "--exclusive")
Configure = Callable[..., None]


@pytest.fixture
def configure(slurm_cluster: SlurmClient) -> Iterator[Configure]:
    """Change the preemptible partition, or how preempted jobs are told, until the test ends."""
    conf = slurm_cluster.cluster.slurm_conf
    before = conf.read_text()

    def change(*, grace_s: int = 60, mode: str = "REQUEUE", first: str = "USR2") -> None:
        text = before.replace("GraceTime=60", f"GraceTime={grace_s}")
        text = text.replace("PreemptMode=REQUEUE GraceTime", f"PreemptMode={mode} GraceTime")
        if first == "TERM":
            text = text.replace("SlurmctldParameters=preempt_send_user_signal", "")
        conf.write_text(text)
        slurm_cluster.run("scontrol", "reconfigure")

    yield change
    conf.write_text(before)
    slurm_cluster.run("scontrol", "reconfigure")


def preempt(client: SlurmClient) -> subprocess.Popen[bytes]:
    """Ask for all nodes, in a job that outranks the preemptible ones."""
    command = ["srun", "--quiet", "--partition=gpu", "--nodes=2", "--exclusive", "true"]
    return subprocess.Popen(command, env=client.environment)


def begin(client: SlurmClient, folder: TrainingFolder, name: str, *options: str) -> int:
    folder.set_seconds_per_step(0.2)
    job = folder.submit(client, *PREEMPTIBLE, *options, name=name)
    wait_for_checkpoint(folder.run(name), after=0)
    return job


def wait_for_status(run: RunFolder, status: str) -> None:
    wait_until(lambda: run.read_state().status == status)


def assert_goes_on_to_the_end(
    client: SlurmClient, folder: TrainingFolder, job: int, name: str
) -> None:
    client.wait(job, "RUNNING", "PENDING", "COMPLETING", "COMPLETED", restarts=1)
    folder.set_seconds_per_step(0)
    client.wait(job, "COMPLETED", restarts=1)
    assert len(starts_of(folder.run(name))) == 2
    assert_same_weights(folder.run(name), uninterrupted())


@pytest.mark.parametrize("mode", ["REQUEUE", "CANCEL"])
def test_steps_longer_than_the_grace_cost_the_steps_and_not_the_run(
    slurm_cluster: SlurmClient, folder: TrainingFolder, configure: Configure, mode: str
) -> None:
    """USR2, then TERM before the ranks can save, then KILL."""
    name = f"slow {mode}"
    configure(grace_s=3, mode=mode)
    job = begin(slurm_cluster, folder, name)
    folder.set_seconds_per_step(LONG_S)
    with preempt(slurm_cluster):
        assert_goes_on_to_the_end(slurm_cluster, folder, job, name)
    assert "stopped by" not in folder.log(job).partition("DUE TO PREEMPTION")[0]


def test_term_alone(
    slurm_cluster: SlurmClient, folder: TrainingFolder, configure: Configure
) -> None:
    configure(first="TERM")
    job = begin(slurm_cluster, folder, "term")
    with preempt(slurm_cluster):
        assert_goes_on_to_the_end(slurm_cluster, folder, job, "term")
    assert "stopped by SIGTERM" in folder.log(job)
    assert "requeued: the next start continues" in folder.log(job)


@pytest.mark.parametrize("saved", [False, True])
def test_term_to_the_batch_script_before_and_after_the_save(
    slurm_cluster: SlurmClient, folder: TrainingFolder, saved: bool
) -> None:
    name = f"saved {saved}"
    job = begin(slurm_cluster, folder, name)
    if not saved:
        folder.set_seconds_per_step(5)
    with preempt(slurm_cluster):
        if saved:
            wait_for_status(folder.run(name), "interrupted")
        else:
            slurm_cluster.wait_for_preemption(job)
        slurm_cluster.run("scancel", "--batch", "--signal=TERM", str(job), check=False)
        assert_goes_on_to_the_end(slurm_cluster, folder, job, name)
    assert "requeued: the next start continues" in folder.log(job)


def test_where_requeue_is_forbidden_a_successor_goes_on(
    slurm_cluster: SlurmClient, folder: TrainingFolder, configure: Configure
) -> None:
    configure(grace_s=3)
    job = begin(slurm_cluster, folder, "forbidden", "--no-requeue")
    folder.set_seconds_per_step(LONG_S)
    with preempt(slurm_cluster):
        slurm_cluster.wait(job, "PREEMPTED", "COMPLETING")
    folder.set_seconds_per_step(0)
    slurm_cluster.wait(job, "PREEMPTED")
    successor = int(folder.log(job).partition("submitted job ")[2].split()[0])
    slurm_cluster.wait(successor, "COMPLETED")
    assert_same_weights(folder.run("forbidden"), uninterrupted())


def test_scancel_ends_a_preempted_job(slurm_cluster: SlurmClient, folder: TrainingFolder) -> None:
    job = begin(slurm_cluster, folder, "ended")
    folder.set_seconds_per_step(5)
    with preempt(slurm_cluster):
        slurm_cluster.wait_for_preemption(job)
        time.sleep(3)  # Slurm tells times in seconds
        slurm_cluster.run("scancel", str(job))
        (record,) = slurm_cluster.wait(job, "CANCELLED")
    assert record["Restarts"] == "0"
    assert slurm_cluster.squeue() == []


def test_preempted_at_random_moments_at_a_random_pace(
    slurm_cluster: SlurmClient,
    folder: TrainingFolder,
    configure: Configure,
    record_property: Callable[[str, object], None],
) -> None:
    seed = os.environ.get("PCONV_FAULT_SEED")  # set by the soak
    num_runs = 5 if seed else 1
    for number in range(num_runs):
        chance = random.Random(num_runs * int(seed or 1) + number)
        pace, grace_s = chance.uniform(0.2, 6), chance.randint(1, 12)
        first = chance.choice(["USR2", "TERM"])
        print(f"{pace:.1f} s a step, {grace_s} s of grace, {first} first")
        configure(grace_s=grace_s, first=first)
        name = f"random {number}"
        job = begin(slurm_cluster, folder, name)
        folder.set_seconds_per_step(pace)
        time.sleep(chance.uniform(0, pace))
        with preempt(slurm_cluster):
            if chance.random() < 0.5:
                slurm_cluster.wait_for_preemption(job)
                time.sleep(chance.uniform(0, pace))
                if slurm_cluster.jobs(job)[0]["Restarts"] == "0":
                    slurm_cluster.run("scancel", "--batch", "--signal=TERM", str(job), check=False)
            assert_goes_on_to_the_end(slurm_cluster, folder, job, name)
    record_property("tried", num_runs)


def test_an_array_task_goes_on_too(
    slurm_cluster: SlurmClient, tmp_path: Path, configure: Configure
) -> None:
    configure(grace_s=1)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        photo = ShapePhotos(seed=5, held_out=True, size=112)[number].image
        Image.fromarray(photo).save(tmp_path / f"photos/{number}.png")
    save_tiny_weights(tmp_path / "w.h5", image_size=64)
    slurm_cluster.environment |= {"PCONV_SITE": str(REPOSITORY / "jobs/sites/debian_local.sh")}
    shape = ("--array=0-0", "--gres=gpu:a100:4", "--cpus-per-task=1", "--mem=2G")
    network = ("--config", str(CONFIG), "--checkpoint", str(CHECKPOINT), "--device", "cpu")
    work = ("photos", "out", "--weights", "w.h5", *network, "--all")
    script = str(REPOSITORY / "jobs/erase_array.sbatch")
    array = slurm_cluster.submit(*PREEMPTIBLE, *shape, script, *work, cwd=tmp_path)
    slurm_cluster.wait_for_text(tmp_path / f"pconv-erase-{array}_0.out", "segment: 12 photos")
    with preempt(slurm_cluster):
        slurm_cluster.wait(array, "COMPLETED", restarts=1)
    summary = summarise(read_manifest(tmp_path / "out"), 0)
    assert (summary.is_accounted, summary.failed) == (True, 0)


def test_packing_goes_on_too_where_slurm_does_not_requeue(
    slurm_cluster: SlurmClient, tmp_path: Path, configure: Configure
) -> None:
    configure(grace_s=1, mode="CANCEL")
    (tmp_path / "photos").mkdir()
    for number in range(400):  # links: enough work to be stopped, few bytes
        path = tmp_path / f"photos/{number}.png"
        if number < 4:
            path.write_bytes(photo_bytes(number, height=1000, width=1300, kind="PNG"))
        else:
            path.hardlink_to(tmp_path / f"photos/{number % 4}.png")
    slurm_cluster.environment |= {"PCONV_SITE": str(REPOSITORY / "jobs/sites/debian_local.sh")}
    shape = (*PREEMPTIBLE, "--nodes=2", "--ntasks-per-node=1")
    script = str(REPOSITORY / "jobs/pack_imagenet.sbatch")
    work = ("photos", "packed", "train", "--size", "512", "--images-per-shard", "4")
    job = slurm_cluster.submit(*shape, script, *work, cwd=tmp_path)
    wait_until(lambda: list(tmp_path.glob("packed/*-of-*.h5")))
    with preempt(slurm_cluster):
        slurm_cluster.wait(job, "COMPLETED", restarts=1)
    with ShardReader(tmp_path / "packed") as reader:
        assert reader.num_images == 400
