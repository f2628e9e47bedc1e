"""One real Slurm of two nodes with four fake A100s each, for all tests in this folder."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.slurm.local_cluster import LocalCluster
from tests.cluster.slurm_client import SlurmClient


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[LocalCluster]:
    """The running cluster. Without root or Slurm's packages its tests fail and say what is missing;
    ``pytest -m "not cluster"`` leaves them out.
    """
    # pytest's own temporary folders have names too long for Slurm's sockets.
    parent = Path(tempfile.mkdtemp(prefix="pslurm-", dir="/tmp"))
    cluster = LocalCluster(parent / "c")
    try:
        cluster.start(num_nodes=2, gpus_per_node=4)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(parent)


@pytest.fixture
def slurm_cluster(shared_cluster: LocalCluster) -> Iterator[SlurmClient]:
    """A client of the cluster, which has no jobs and only idle nodes before and after the test."""
    client = SlurmClient(shared_cluster)
    yield client
    client.reset()
