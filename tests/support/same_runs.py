"""What two training runs must have in common to be the same run."""

import csv
from pathlib import Path

import numpy as np

from pconv_hpc.training.checkpoint import read_checkpoint
from pconv_hpc.training.checkpoint_files import list_checkpoints
from pconv_hpc.training.run_folder import RunFolder
from tests.support.training_runs import TOTAL_STEPS


def final_arrays(folder: RunFolder) -> dict[str, np.ndarray]:
    checkpoint = list_checkpoints(folder.checkpoints_dir)[-1]
    assert checkpoint.step == TOTAL_STEPS
    arrays = read_checkpoint(checkpoint.path)
    assert set(arrays) == {"model", "optimizer"}
    return {f"{group}/{name}": a for group, values in arrays.items() for name, a in values.items()}


def table_without_speed(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row.pop("images_per_second", None)
    return rows


def assert_same_run(found: RunFolder, expected: RunFolder) -> None:
    """Bit for bit: every weight, every optimizer slot, every row that was told."""
    ours, theirs = final_arrays(found), final_arrays(expected)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    for table in ("metrics_path", "validation_metrics_path"):
        rows = table_without_speed(getattr(expected, table))
        assert rows
        assert table_without_speed(getattr(found, table)) == rows
    assert found.read_state().status == "finished"
