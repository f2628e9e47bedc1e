"""One real Slurm of two nodes with four fake A100s each, for all tests in this folder.

A second one runs, beside all of them, the job that needs minutes because time limits are counted in
minutes.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.local_slurm.local_cluster import LocalCluster
from tests.integration.cluster.limited_run import LimitedRun
from tests.integration.cluster.slurm_client import SlurmClient
from tests.integration.cluster.training_jobs import TrainingFolder


@contextlib.contextmanager
def running_cluster() -> Iterator[LocalCluster]:
    # pytest's own temporary folders have names too long for Slurm's sockets.
    parent = Path(tempfile.mkdtemp(prefix="pslurm-", dir="/tmp"))
    cluster = LocalCluster(parent / "c")
    try:
        cluster.start(num_nodes=2, gpus_per_node=4)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(parent)


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[LocalCluster]:
    """The running cluster. Without root or Slurm's packages its tests fail and say what is missing;
    ``pytest -m "not cluster"`` leaves them out.
    """
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session", autouse=True)
def limited_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LimitedRun | None]:
    """The run with short time limits, begun before the first test here; its own test comes last.

    ``None`` where that test is not among those that were asked for.
    """
    if not any(item.get_closest_marker("limited_run") for item in request.session.items):
        yield None
        return
    with running_cluster() as cluster:
        yield LimitedRun.submit(SlurmClient(cluster), tmp_path_factory.mktemp("limited"))


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> TrainingFolder:
    return TrainingFolder.make(tmp_path_factory.mktemp("training"))


@pytest.fixture
def folder(module_folder: TrainingFolder, request: pytest.FixtureRequest) -> TrainingFolder:
    """The folder that all tests of a file submit from, with steps at full speed."""
    module_folder.set_seconds_per_step(0)
    return module_folder


@pytest.fixture
def slurm_cluster(shared_cluster: LocalCluster) -> Iterator[SlurmClient]:
    """A client of the cluster, which has no jobs and only idle nodes before and after the test."""
    client = SlurmClient(shared_cluster)
    yield client
    client.reset()
