"""What the fault tests share: the small training run that everything is done to."""

import os
from pathlib import Path

import pytest
import yaml

from pconv_hpc.training.run_folder import RunFolder
from tests.integration.faults.written_files import umask_and_secret
from tests.support.training_runs import RunTool, config_path, run_tool

__all__ = [
    "config_path",
    "references",
    "run_tool",
    "saving_often",
]  # pytest looks for fixtures here


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test as often as the soak wants, with the fixtures of the session made once."""
    repeats = int(os.environ.get("PCONV_FAULT_REPEATS", "1"))
    if repeats > 1:
        metafunc.fixturenames.append("repeat")
        metafunc.parametrize("repeat", range(repeats))


@pytest.fixture(scope="session")
def saving_often(config_path: Path) -> Path:
    """The run of the training tests, with a checkpoint after every second of its 12 steps."""
    config = yaml.safe_load(config_path.read_text())
    config["train"]["checkpoint_every_steps"] = 2
    path = config_path.with_name("saving_often.yaml")
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def references(
    saving_often: Path,
    run_tool: RunTool,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, RunFolder]:
    """Runs that nothing happened to, by number of ranks; ``test_written_files`` looks at them."""
    root = tmp_path_factory.mktemp("references")
    folders = {}
    for ranks in (1, 2):
        folders[ranks] = RunFolder(root / str(ranks))
        with umask_and_secret():
            run_tool("tools/train.py", saving_often, "--run-dir", folders[ranks].path, ranks=ranks)
    return folders
