"""``jobs/harvest_masks.sbatch``, unchanged, on two nodes of the real Slurm."""

import time
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.harvest.parts import Parts, num_lines
from pconv_hpc.masks.silhouette_file import SilhouetteFile
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import TWO_NODES
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.assets.small_network import CHECKPOINT, CONFIG
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]


def test_two_nodes_harvest_together_and_continue_when_requeued(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    photos = tmp_path / "some photos"
    photos.mkdir()
    for index in range(400):  # links: enough work to be stopped, few bytes
        if index < 8:
            picture = ShapePhotos(seed=11, held_out=True)[index].image
            Image.fromarray(picture).save(photos / f"{index}.png")
        else:
            (photos / f"{index}.png").symlink_to(f"{index % 8}.png")
    slurm_cluster.environment["PCONV_SITE"] = str(REPOSITORY / "jobs/sites/debian_local.sh")
    script = str(REPOSITORY / "jobs/harvest_masks.sbatch")
    network = ("--config", str(CONFIG), "--checkpoint", str(CHECKPOINT))
    arguments = ("some photos", "masks/objects.h5", *network, "--classes", ",".join(CLASSES))

    job = slurm_cluster.submit(*TWO_NODES, script, *arguments, cwd=tmp_path)
    parts = Parts(tmp_path / "masks" / "objects.h5").folder
    log = tmp_path / f"pconv-harvest-{job}.out"
    deadline = time.monotonic() + 120
    while num_lines(parts) < 2:
        assert time.monotonic() < deadline, log.read_text() if log.exists() else "no log"
        time.sleep(0.05)
    slurm_cluster.run("scancel", "--signal=USR2", str(job))  # as Slurm does before the time limit
    slurm_cluster.wait(job, "COMPLETED", restarts=1)

    text = log.read_text()
    assert "on node[0-1]: 2 rank(s) by srun-pmix, at 0 in" in text
    assert "requeued: the next start continues" in text
    assert "masks/objects.h5: " in text
    file = SilhouetteFile(tmp_path / "masks" / "objects.h5")
    file.verify()
    assert 0 < file.num_silhouettes < 40  # of 8 photos, however often they are there
    assert num_lines(parts) == 0
