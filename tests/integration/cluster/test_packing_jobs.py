"""``jobs/pack_imagenet.sbatch``, unchanged, on two nodes of the real Slurm."""

from pathlib import Path

import pytest

from pconv_hpc.shards.shard_file import ShardReader
from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import write_photos

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]

SITE = REPOSITORY / "jobs" / "sites" / "debian_local.sh"


def submit(client: SlurmClient, folder: Path, *options: str, **variables: str) -> int:
    """Submit a pack of ``photos`` into ``packed set`` by two ranks on each of two nodes."""
    client.environment |= {"PCONV_SITE": str(SITE), **variables}
    script = str(REPOSITORY / "jobs" / "pack_imagenet.sbatch")
    shape = ("--nodes=2", "--ntasks-per-node=2", *options)
    pack = ("photos", "packed set", "train", "--size", "24", "--images-per-shard", "32")
    return client.submit(*shape, script, *pack, cwd=folder)


def test_two_nodes_pack_together_and_a_finished_pack_is_left_alone(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 150)

    job = submit(slurm_cluster, tmp_path)
    slurm_cluster.wait(job, "COMPLETED")

    log = (tmp_path / f"pconv-pack-{job}.out").read_text()
    assert "on node[0-1]: 4 rank(s) by srun-pmix" in log
    assert "packed 150 photos in 5 shards" in log
    with ShardReader(tmp_path / "packed set") as reader:
        reader.verify()
        assert reader.num_images == 150
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "packed set").glob("*-of-*.h5")}

    again = submit(slurm_cluster, tmp_path)
    slurm_cluster.wait(again, "COMPLETED")

    assert "(5 were there already)" in (tmp_path / f"pconv-pack-{again}.out").read_text()
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_packing_without_mpi_is_refused_where_it_would_repeat_all_work(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    write_photos(tmp_path / "photos", 3)

    job = submit(slurm_cluster, tmp_path, LAUNCHER="gloo")

    (record,) = slurm_cluster.wait(job, "FAILED")
    assert record["ExitCode"] == "2:0"
    assert "packing on several ranks needs MPI" in (tmp_path / f"pconv-pack-{job}.out").read_text()
    assert not (tmp_path / "packed set").exists()
