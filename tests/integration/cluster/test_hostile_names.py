"""Folders whose names a shell could take for commands, and a secret in the environment, in jobs.

No network runs: photos are packed, or copied as there is nothing to erase.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.cluster.slurm_queries import parse_job_record
from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path
from pconv_hpc.erasing.folder.manifest import build_manifest
from pconv_hpc.erasing.folder.slice_summary import read_done
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.segmentation.settings import SegmentSettings
from pconv_hpc.shards.shard_file import ShardReader
from tests.integration.cluster.login_node import call
from tests.integration.cluster.slurm_client import FINAL_STATES, SlurmClient
from tests.integration.faults.written_files import SECRET
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY
from tests.support.photo_folders import write_photos

pytestmark = pytest.mark.cluster

SITE = REPOSITORY / "jobs/sites/debian_local.sh"
# Commands, quotes, Slurm's own %, a glob, bytes that are no UTF-8, and a line of `scontrol show`.
COMMANDS = "$(touch pwned) `touch pwned`;touch pwned|& 'q\" %j * ~ ünï \udce9"
LINES = f"{COMMANDS}\n   Command=evil.sbatch"


@pytest.fixture
def folder(slurm_cluster: SlurmClient, tmp_path: Path) -> Iterator[Path]:
    """A folder to submit from, in which no command that hid in a name may have left anything."""
    slurm_cluster.environment |= {"PCONV_SITE": str(SITE), "MY_TOKEN": SECRET}
    (tmp_path / "common.sh").write_text("touch pwned\n")  # what a job script beside it would run
    yield tmp_path
    assert list(tmp_path.rglob("pwned")) == []
    assert not (REPOSITORY / "pwned").exists()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def state_at_end(client: SlurmClient, job: int) -> str:
    """Wait for a job that shows line breaks among its fields, and return its state."""
    deadline = time.monotonic() + 300
    while True:
        record = parse_job_record(client.run("scontrol", "show", "job", str(job)))
        if record["JobState"] in FINAL_STATES:
            return record["JobState"]
        assert time.monotonic() < deadline, record
        time.sleep(0.3)


def logs(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*.out"))


def test_names_are_packed_as_they_are(slurm_cluster: SlurmClient, folder: Path) -> None:
    write_photos(folder / f"photos {COMMANDS}", 3)
    job = slurm_cluster.submit(
        *("--nodes=1", "--ntasks-per-node=1", str(REPOSITORY / "jobs/pack_imagenet.sbatch")),
        *(f"photos {COMMANDS}", f"packed \\ {LINES}", "train", "--size", "24"),
        cwd=folder,
    )
    assert state_at_end(slurm_cluster, job) == "COMPLETED", logs(folder)
    with ShardReader(folder / f"packed \\ {LINES}") as reader:
        assert reader.num_images == 3


def test_names_are_erased_as_they_are(slurm_cluster: SlurmClient, folder: Path) -> None:
    images, out = folder / f"photos {COMMANDS}", folder / f"out {LINES}"
    photos = write_photos(images / COMMANDS, 3)
    settings = EraseSettings(
        segment=SegmentSettings(
            config=str(ASSETS / "small_mask_rcnn.py"),
            checkpoint=ASSETS / "small_mask_rcnn.pth",
            classes=(COMMANDS,),
        ),
        inpaint=InpaintSettings(weights=save_tiny_weights(folder / f"{COMMANDS}.h5")),
    )
    manifest = build_manifest(images, out, num_slices=1, settings=settings)
    with LedgerWriter(attempt_path(manifest.slice_dir(0), {})) as ledger:
        for row in manifest.photos(0):
            ledger.write(row.photo, "found", stage="segment", classes={})
    limits = ("--gres", "gpu:a100:1", "--cpus-per-task", "1", "--mem", "2G")
    told = call(slurm_cluster, "erase.py", images.name, out.name, *limits, cwd=folder)
    job = int(told.rpartition("submitted   job ")[2])
    assert state_at_end(slurm_cluster, job) == "COMPLETED", logs(folder)
    assert read_done(manifest.slice_dir(0)) is not None
    for key, data in photos.items():
        assert (manifest.erased / COMMANDS / key).read_bytes() == data
    assert len(list((out / "logs").iterdir())) == 1
    shown = call(slurm_cluster, "erase_status.py", out.name, "--report", cwd=folder)
    assert "3 with nothing to erase" in shown
