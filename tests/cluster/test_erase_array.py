"""``jobs/erase_array.sbatch``, unchanged, on two nodes of the real Slurm."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.assets.shape_photos import CLASSES, ShapePhotos
from tests.cluster.slurm_client import SlurmClient
from tests.cluster.training_jobs import REPOSITORY
from tests.erasing.inpainting_files import save_tiny_weights

pytestmark = [pytest.mark.cluster]

ASSETS = REPOSITORY / "tests" / "assets"


def submit(client: SlurmClient, folder: Path, *options: str) -> int:
    """Erase the stars of ``my photos``."""
    client.environment |= {"PCONV_SITE": str(REPOSITORY / "jobs/sites/debian_local.sh")}
    # All GPUs of a node: each task has a node of its own.
    shape = ("--array=0-1", "--gres=gpu:a100:4", "--cpus-per-task=1", "--mem=2G", *options)
    network = ("--config", str(ASSETS / "small_mask_rcnn.py"))
    network += ("--checkpoint", str(ASSETS / "small_mask_rcnn.pth"), "--device", "cpu")
    erase = ("my photos", "an out", "--weights", "w.h5", *network, "--classes", "star")
    return client.submit(*shape, str(REPOSITORY / "jobs/erase_array.sbatch"), *erase, cwd=folder)


def test_two_tasks_of_which_one_is_stopped_erase_a_folder_once(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    photos, out = tmp_path / "my photos", tmp_path / "an out"
    save_tiny_weights(tmp_path / "w.h5", image_size=64)
    supply = ShapePhotos(seed=11, held_out=True)
    with_star = set()
    for index in range(6):
        photo = supply[index]
        path = photos / f"sub {index % 3}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.image).save(path)
        if CLASSES.index("star") in photo.labels:
            with_star.add(path.relative_to(photos))
    assert 0 < len(with_star) < 6

    job = submit(slurm_cluster, tmp_path)
    logs = [tmp_path / f"pconv-erase-{job}_{task}.out" for task in (0, 1)]
    for task, log in enumerate(logs):
        slurm_cluster.wait_for_text(log, f"slice {task} of 2: 3 photos")
    assert {record["NodeList"] for record in slurm_cluster.jobs(job)} == {"node0", "node1"}
    # The last task's own number is the array's: requeueing that would repeat the other one too.
    slurm_cluster.run("scancel", "--batch", "--signal=USR2", f"{job}_1")
    records = slurm_cluster.wait(job, "COMPLETED", timeout_s=180)

    restarts = {record["ArrayTaskId"]: record["Restarts"] for record in records}
    assert restarts == {"0": "0", "1": "1"}
    assert "requeued: the next start continues" in logs[1].read_text()
    erased = {path.relative_to(out / "erased") for path in (out / "erased").rglob("*.*")}
    assert erased == with_star
    for name in erased:
        before, after = (np.asarray(Image.open(path / name)) for path in (photos, out / "erased"))
        mask = np.asarray(Image.open(out / "found/masks" / f"{name}.png")) > 0
        differs = (before != after).any(axis=-1)
        assert differs.any()
        assert not differs[~mask].any()
    lists = [(out / f"slices/{task}-of-2.txt").read_text().split("\n")[:-1] for task in (0, 1)]
    assert sorted(lists[0] + lists[1]) == sorted(
        path.relative_to(photos).as_posix() for path in photos.rglob("*.png")
    )
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if "slices" not in str(path)}

    again = submit(slurm_cluster, tmp_path)
    slurm_cluster.wait(again, "COMPLETED", timeout_s=180)

    assert "3 skipped" in (tmp_path / f"pconv-erase-{again}_1.out").read_text()
    assert {path: path.stat().st_mtime_ns for path in made} == made
