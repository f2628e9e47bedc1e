"""``jobs/evaluate.sbatch``, unchanged, on two nodes of the real Slurm."""

import json
from pathlib import Path

import pytest

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import TWO_NODES
from tests.support.packed_crops import write_pack
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.cluster, pytest.mark.mpi]


def test_two_nodes_evaluate_together(slurm_cluster: SlurmClient, tmp_path: Path) -> None:
    write_pack(tmp_path / "a pack", split="val", num_images=9, num_shards=2, seed=3)
    config = ModelConfig(levels=2, base_channels=4, max_channels=8, encoder_kernels=(3,))
    save_weights(
        tmp_path / "weights.h5", build_pconv_unet(config), config, metadata={"image_size": 32}
    )
    slurm_cluster.environment["PCONV_SITE"] = str(REPOSITORY / "jobs/sites/debian_local.sh")
    script = str(REPOSITORY / "jobs/evaluate.sbatch")
    arguments = ("a pack/index.json", "an evaluation", "--weights", "weights.h5")

    job = slurm_cluster.submit(*TWO_NODES, script, *arguments, cwd=tmp_path)
    slurm_cluster.wait(job, "COMPLETED")

    log = (tmp_path / f"pconv-evaluate-{job}.out").read_text()
    assert "on node[0-1]: 2 rank(s) by srun-pmix" in log
    table = json.loads((tmp_path / "an evaluation/results.json").read_text())["by_hole_ratio"]
    assert table[-1]["photos"] == 9
