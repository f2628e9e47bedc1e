"""tools/erase.py and tools/erase_status.py where there is a Slurm; no job of theirs gets to run."""

import json
from pathlib import Path

import pytest

from pconv_hpc.erasing.folder.manifest import read_manifest
from tests.integration.cluster.login_node import call
from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.erase_folders import account, write_photos
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS, REPOSITORY

pytestmark = pytest.mark.cluster

CHECKPOINT = ASSETS / "small_mask_rcnn.pth"
_DRY_RUN = """\
photos      12 in {cwd}/my photos
results     {cwd}/an out
slices      4, about 3 photos each
to do       0-3
found by    {checkpoint}
selection   classes traffic light
filled by   {cwd}/w.h5
filling     by default
resources   by default
the others  photos with nothing to erase are copied
command     source {cwd}/site.sh; sbatch --parsable '--job-name=pconv-erase-an out' \
--array=0-3%2 '--output={cwd}/an out/logs/%A_%a.out' --time=01:00:00 --begin=now+1hour \
{repository}/jobs/erase_array.sbatch '{cwd}/an out'
"""


@pytest.fixture
def folder(slurm_cluster: SlurmClient, tmp_path: Path) -> Path:
    write_photos(tmp_path / "my photos", 12)
    save_tiny_weights(tmp_path / "w.h5")
    (tmp_path / "site.sh").write_text("export SBATCH_PARTITION=long\n")
    slurm_cluster.environment["PCONV_SITE"] = str(tmp_path / "site.sh")
    return tmp_path


ERASE = (
    *("erase.py", "my photos", "an out", "--weights", "w.h5", "--checkpoint", str(CHECKPOINT)),
    *("--classes", "traffic light", "--tasks", "4"),
)
LIMITS = ("--max-running", "2", "--time", "01:00:00", "--sbatch", "begin=now+1hour")


def states(client: SlurmClient) -> dict[str, str]:
    """Return the states of all elements of arrays by ``ARRAY_INDEX``."""
    lines = client.run("squeue", "--noheader", "--array", "--format=%F_%K %T").splitlines()
    return dict(line.split() for line in lines)


def test_a_dry_run_shows_exactly_what_would_be_submitted(
    slurm_cluster: SlurmClient, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    shown = call(slurm_cluster, *ERASE, *LIMITS, "--dry-run", cwd=folder)
    assert shown == _DRY_RUN.format(cwd=folder, checkpoint=CHECKPOINT, repository=REPOSITORY)
    assert slurm_cluster.squeue() == []
    assert sorted(folder.iterdir()) == before


def test_slices_are_submitted_once_and_resubmitted_where_nobody_does_them(
    slurm_cluster: SlurmClient, folder: Path
) -> None:
    out = folder / "an out"
    told = call(slurm_cluster, *ERASE, *LIMITS, cwd=folder)
    job = told.rpartition("submitted   job ")[2].strip()
    assert set(states(slurm_cluster)) == {f"{job}_{index}" for index in range(4)}
    assert set(states(slurm_cluster).values()) == {"PENDING"}
    (record, *_) = slurm_cluster.jobs(int(job))
    assert (record["Partition"], record["TimeLimit"]) == ("long", "01:00:00")
    assert record["ArrayTaskThrottle"] == "2"

    status = json.loads(call(slurm_cluster, "erase_status.py", "an out", "--json", cwd=folder))
    assert (status["state"], status["waiting"]) == ("in the queue", [0, 1, 2, 3])
    assert status["rerun"] == []
    assert status["job_ids"] == [int(job)]
    assert "nothing to rerun" in call(
        slurm_cluster, "erase_status.py", "an out", "--resubmit", cwd=folder
    )
    again = call(slurm_cluster, "erase.py", "my photos", "an out", cwd=folder)
    assert "to do       nothing" in again
    assert len(states(slurm_cluster)) == 4

    account(read_manifest(out), 1, "erased", "empty", "")
    account(read_manifest(out), 3, "erased", "empty", "erased")
    slurm_cluster.run("scancel", f"{job}_[1,3]")
    command = ("erase_status.py", "an out", "--resubmit", "--mem", "2G")
    shown = call(slurm_cluster, *command, "--dry-run", cwd=folder)
    assert "rerun       1\n" in shown
    assert "--array=1%2 " in shown
    assert "--time=01:00:00 --begin=now+1hour --mem=2G" in shown
    assert len(states(slurm_cluster)) == 2
    told = call(slurm_cluster, *command, cwd=folder)
    second = told.rpartition("submitted   job ")[2].strip()
    assert set(states(slurm_cluster)) == {f"{job}_0", f"{job}_2", f"{second}_1"}
    assert "rerun" not in call(slurm_cluster, "erase_status.py", "an out", cwd=folder)


def test_status_shows_folders_beside_runs(slurm_cluster: SlurmClient, folder: Path) -> None:
    call(slurm_cluster, *ERASE, *LIMITS, cwd=folder)
    account(read_manifest(folder / "an out"), 0, "erased", "failed", "", reason="damaged")
    table = call(slurm_cluster, "status.py", cwd=folder).splitlines()
    assert table[0].split() == [
        *("folder", "jobs", "slurm", "status", "done", "failed", "aside", "images/s", "left"),
        "rerun",
    ]
    assert "4 PENDING" in table[1]
    assert "1/12" in table[1]
    assert table[2] == "  last error: damaged"
    (found,) = json.loads(call(slurm_cluster, "status.py", "an out", "--json", cwd=folder))
    assert (found["kind"], found["out"], found["slurm"]) == ("erase", "an out", {"PENDING": 4})
