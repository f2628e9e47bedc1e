"""Clusters of a test's own, beside the one that tests/integration/cluster shares."""

from tests.support.slurm_fixtures import cluster_folder

__all__ = ["cluster_folder"]  # pytest looks for fixtures here
