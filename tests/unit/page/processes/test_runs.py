"""What is told of training runs, also of those that are broken."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.config import RunConfig, config_from_mapping
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.processes.runs import Runs
from pconv_hpc.training.run_folder import RunFolder

RUNS = Runs()


def make_run(path: Path) -> RunFolder:
    """Make the folder of a run that failed at step 1,200."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    config: RunConfig = config_from_mapping({"data": {"train_index": "a", "val_index": "b"}})
    folder.save_config(config)
    folder.write_state("failed", step=1200, total_steps=2000, reason="out of memory")
    rows = "".join(f"{step},1,{1 / step:.6g},20\n" for step in range(1, 1201))
    folder.metrics_path.write_text(f"step,epoch,loss,images_per_second\n{rows}12")
    folder.validation_metrics_path.write_text("step,epoch,loss,psnr\n1000,1,0.5,nan\n")
    folder.validation_dir.mkdir()
    for name in ("epoch_0002.png", "epoch_0001.png", "notes.txt", "epoch_x.png"):
        (folder.validation_dir / name).touch()
    return folder


def test_a_run_is_described(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "one run").path
    told = RUNS.describe(str(run))
    assert (told["status"], told["step"], told["total_steps"]) == ("failed", 1200, 2000)
    assert told["last_error"] == told["reason"] == "out of memory"
    assert told["resume"] == f"pconv-hpc resume '{run}'"
    assert told["epochs"] == [1, 2]
    loss, speed, psnr = told["curves"]
    assert (loss["name"], speed["name"], psnr["name"]) == ("loss", "images_per_second", "psnr")
    assert 400 <= len(loss["training"]) <= 500
    assert loss["training"][-1][0] == 1200
    assert loss["validation"] == [(1000, 0.5)]
    assert psnr == {"name": "psnr", "training": [], "validation": []}
    assert RUNS.grid(str(run), 2).endswith("epoch_0002.png")
    with pytest.raises(UsageError, match="no picture of epoch 3"):
        RUNS.grid(str(run), 3)


def test_runs_of_a_folder_are_found_and_broken_ones_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "good").path
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.yaml").write_text("x: [")
    assert RUNS.names(str(tmp_path)) == [str(tmp_path / "bad"), str(run)]
    assert RUNS.names(str(run)) == [str(run)]
    broken = RUNS.overview(str(tmp_path / "bad"))
    assert broken["status"] == "cannot be read"
    assert "config.yaml" in broken["last_error"]
