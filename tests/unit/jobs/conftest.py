"""A Slurm that only says what it is told to."""

from tests.support.slurm_fixtures import slurm

__all__ = ["slurm"]  # pytest looks for fixtures here
