"""The file that a weight file's or a run folder's name stands for."""

import json
from pathlib import Path

import pytest

from pconv_hpc.config import RunConfig, config_to_yaml
from pconv_hpc.errors import UsageError
from pconv_hpc.model.find_weights import FoundWeights, find_weights


def add_checkpoint(run_dir: Path, step: int, *, finished: bool = True) -> Path:
    folder = run_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:08d}.h5"
    path.touch()
    if finished:
        description = {"config": {"data": {"image_size": 192}}}
        path.with_suffix(".json").write_text(json.dumps(description))
    return path


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.touch()
    assert find_weights(path) == FoundWeights(path, None)


def test_a_checkpoint_knows_its_image_size(tmp_path: Path) -> None:
    path = add_checkpoint(tmp_path, 5)
    assert find_weights(path) == FoundWeights(path, 192)
    path.with_suffix(".json").write_text("no JSON")
    assert find_weights(path) == FoundWeights(path, None)


def test_a_run_folder_stands_for_its_best_weights_else_its_newest_checkpoint(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.yaml").write_text(config_to_yaml(RunConfig()))
    add_checkpoint(tmp_path, 900)
    newest = add_checkpoint(tmp_path, 100_000_000)  # one digit more
    add_checkpoint(tmp_path, 200_000_000, finished=False)
    assert find_weights(tmp_path) == FoundWeights(newest, 256)
    best = tmp_path / "weights.h5"
    best.touch()
    assert find_weights(tmp_path) == FoundWeights(best, 256)


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such weight file or run folder"):
        find_weights(tmp_path / "none")
    add_checkpoint(tmp_path, 5, finished=False)
    with pytest.raises(UsageError, match="nor a finished checkpoint"):
        find_weights(tmp_path)
