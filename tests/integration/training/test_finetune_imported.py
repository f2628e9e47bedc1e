"""Fine-tuning from a network that another project trained, on the shapes of objects."""

import shlex
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from pconv_hpc.model.importing.weights import import_weights
from pconv_hpc.model.weights import load_model
from pconv_hpc.training.run_folder import RunFolder
from tests.support import torch_unets
from tests.support.training_runs import RunTool

CONFIG = "configs/imagenet_256_finetune.yaml"


def save_silhouettes(folder: Path) -> Path:
    folder.mkdir()
    y, x = np.mgrid[:64, :64]
    for number in range(3):
        inside = (x - 30) ** 2 + (y - 25 - 3 * number) ** 2 < (8 + 4 * number) ** 2
        Image.fromarray(inside.astype(np.uint8) * 255).save(folder / f"{number}.png")
    return folder


def test_the_shipped_configuration_goes_on_from_imported_weights(
    config_path: Path, run_tool: RunTool, tmp_path: Path
) -> None:
    theirs = torch_unets.build("mmagic", widths=[8, 16, 16])
    torch.save(torch_unets.saved("mmagic", theirs), tmp_path / "theirs.pth")
    imported = tmp_path / "weights" / "pconv_places2.h5"
    import_weights(tmp_path / "theirs.pth", imported, image_size=256)
    data = yaml.safe_load(config_path.read_text())["data"]
    overrides = {
        "data.train_index": data["train_index"],
        "data.val_index": data["val_index"],
        "data.image_size": 32,
        "masks.num_masks": 16,
        "masks.objects_from": save_silhouettes(tmp_path / "silhouettes"),
        "loss.vgg_weights": "none",
        "train.initial_weights": tmp_path / "places2",
        "train.precision": "float32",
        "train.require_gpu": "false",
        "train.epochs": 1,
        "train.steps_per_epoch": 3,
        "train.global_batch_size": 4,
        "train.log_every_steps": 1,
        "validation.num_images": 3,
        "validation.grid_images": 2,
    }
    words = [w for key, value in overrides.items() for w in ("--set", f"{key}={value}")]
    run_dir = tmp_path / "run"
    refused = run_tool("tools/train.py", CONFIG, "--run-dir", run_dir, *words, expect=(2,))
    assert "model.padding is symmetric, here same" in refused.stderr
    fitting = shlex.split(refused.stderr.split("same model section as there: ")[1].splitlines()[0])
    assert {"model.padding=symmetric", "model.pixels=signed"} < set(fitting)

    run_tool("tools/train.py", CONFIG, "--run-dir", run_dir, *words, *fitting)

    folder = RunFolder(run_dir)
    assert folder.read_state().status == "finished"
    before, _, _ = load_model(imported)
    after, config, _ = load_model(run_dir / "weights.h5")
    assert (config.padding, config.pixels) == ("symmetric", "signed")
    statistics = 0
    for old, new in zip(before.variables, after.variables, strict=True):
        change = np.abs(np.array(new) - np.array(old)).max()
        if "encoder" in old.path and "batch_norm" in old.path:
            assert change == 0, old.path  # frozen
            statistics += 1
        elif old.path.endswith("kernel"):
            assert 0 < change < 1e-3, old.path  # three small steps from where it began
    assert statistics == 8
