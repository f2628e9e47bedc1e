"""Jobs in an image, on the real Slurm, with a stand-in for Apptainer."""

import shlex
import time
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.training.checkpoint_files import list_checkpoints
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import (
    TrainingFolder,
    assert_same_weights,
    uninterrupted,
)
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.fake_apptainer import FakeApptainer
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY
from tests.support.photo_folders import write_photos

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]

# Outside the image there is no Python with packages: all that the jobs run must be inside it.
_SITE = """\
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PCONV_IMAGE='{apptainer.image}'
load_environment() {{ PATH='{apptainer.bin}':/usr/bin:/bin; }}
"""


@pytest.fixture
def apptainer(tmp_path: Path) -> FakeApptainer:
    return FakeApptainer(tmp_path / "apptainer")


@pytest.fixture
def site(apptainer: FakeApptainer, tmp_path: Path) -> Path:
    path = tmp_path / "site.sh"
    path.write_text(_SITE.format(apptainer=apptainer))
    return path


def test_the_ranks_of_a_pack_find_each_other_by_pmix(
    slurm_cluster: SlurmClient, apptainer: FakeApptainer, site: Path, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 40)
    slurm_cluster.environment |= {"PCONV_SITE": str(site)}
    script = str(REPOSITORY / "jobs" / "pack_imagenet.sbatch")
    pack = ("photos", "packed", "train", "--size", "24", "--images-per-shard", "10")

    job = slurm_cluster.submit("--nodes=2", "--ntasks-per-node=2", script, *pack, cwd=tmp_path)
    slurm_cluster.wait(job, "COMPLETED")

    log = (tmp_path / f"pconv-pack-{job}.out").read_text()
    assert "4 rank(s) by srun-pmix" in log
    assert "packed 40 photos in 4 shards" in log
    with ShardReader(tmp_path / "packed") as reader:
        reader.verify()
    assert len(apptainer.calls) == 1 + 4
    ranks = [call for call in apptainer.calls if "pconv_hpc.commands.pack" in call]
    assert len(ranks) == 4
    assert all("--bind /" in call and "pmix" in call for call in ranks), "PMIx's files are outside"


def test_a_training_submits_its_successor_from_the_image(
    slurm_cluster: SlurmClient, apptainer: FakeApptainer, site: Path, tmp_path: Path
) -> None:
    folder = TrainingFolder.make(tmp_path)
    folder.set_seconds_per_step(0.2)
    modules = f"{folder.path / 'slow'}:{REPOSITORY}"
    job = folder.submit(
        slurm_cluster, "--no-requeue",
        PCONV_SITE=str(site), LAUNCHER="gloo", APPTAINERENV_PYTHONPATH=modules,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not list_checkpoints(folder.run().checkpoints_dir):
        assert time.monotonic() < deadline, folder.log(job)
        time.sleep(0.2)
    folder.set_seconds_per_step(0)
    slurm_cluster.run("scancel", "--signal=USR2", str(job))
    slurm_cluster.wait(job, "COMPLETED")

    log = folder.log(job)
    assert "requeue is not allowed here" in log
    slurm_cluster.wait(int(log.partition("submitted job ")[2].split()[0]), "COMPLETED")
    assert_same_weights(folder.run(), uninterrupted())
    assert len(apptainer.calls) == 2 * (1 + 2)


def test_erasing_is_submitted_from_the_image_and_runs_in_it(
    slurm_cluster: SlurmClient, apptainer: FakeApptainer, site: Path, tmp_path: Path
) -> None:
    supply = ShapePhotos(seed=11, held_out=True, size=112)
    (tmp_path / "photos").mkdir()
    for index in range(4):
        Image.fromarray(supply[index].image).save(tmp_path / "photos" / f"{index}.png")
    save_tiny_weights(tmp_path / "w.h5")
    network = ("--config", ASSETS / "small_mask_rcnn.py")
    network += ("--checkpoint", ASSETS / "small_mask_rcnn.pth", "--device", "cpu")
    command = ("python", "-m", "pconv_hpc", "erase", "photos", "out", "--weights", "w.h5")
    command += ("--classes", ",".join(CLASSES), "--tasks", "2", "--sbatch", "gres=none")
    command += ("--sbatch", "cpus-per-task=1", "--mem", "4G")

    path = f"{apptainer.bin}:{slurm_cluster.environment['PATH']}"
    slurm_cluster.environment |= {"PCONV_SITE": str(site), "PATH": path}
    words = shlex.join(map(str, (*command, *network)))
    script = f"source {site} && exec bash {REPOSITORY}/jobs/in_image.sh {words}"
    told = slurm_cluster.run("bash", "-c", script, cwd=tmp_path)
    slurm_cluster.wait(int(told.rpartition("submitted   job ")[2]), "COMPLETED")

    assert len(list((tmp_path / "out" / "erased").rglob("*.png"))) == 4
    assert len(apptainer.calls) == 1 + 2
