"""The job scripts of an installed wheel, on the real Slurm: no checkout is near."""

from pathlib import Path

import pytest

from pconv_hpc.shards.shard_file import ShardReader
from tests.integration.cluster.slurm_client import SlurmClient
from tests.support.installed_wheel import InstalledWheel
from tests.support.photo_folders import write_photos

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]

_SITE = """\
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
load_environment() {{
    PATH="{venv}/bin:$PATH"
}}
"""


def test_a_job_script_of_the_wheel_runs_the_package_of_the_wheel(
    slurm_cluster: SlurmClient, tmp_path: Path
) -> None:
    installed = InstalledWheel(tmp_path)
    write_photos(tmp_path / "photos", 40)
    site = tmp_path / "my site.sh"
    site.write_text(_SITE.format(venv=installed.venv))
    slurm_cluster.environment |= {"PCONV_SITE": str(site)}
    slurm_cluster.environment.pop("PYTHONPATH", None)

    script = installed.jobs_dir / "pack_imagenet.sbatch"
    shape = ("--nodes=1", "--ntasks-per-node=2")
    pack = ("photos", "packed", "train", "--size", "24")
    job = slurm_cluster.submit(*shape, str(script), *pack, cwd=tmp_path)
    slurm_cluster.wait(job, "COMPLETED")

    log = (tmp_path / f"pconv-pack-{job}.out").read_text()
    assert "packed 40 photos" in log
    with ShardReader(tmp_path / "packed") as reader:
        reader.verify()
    shown = installed.run("pconv-hpc", "inspect", tmp_path / "packed", "--verify")
    assert shown.returncode == 0, shown.stderr
