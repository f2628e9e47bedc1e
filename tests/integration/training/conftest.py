"""Fixtures of training runs."""

from tests.support.training_runs import config_path, run_tool

__all__ = ["config_path", "run_tool"]  # pytest looks for fixtures here
