"""The network that comes with the package: small on disk, whole, and worth its place."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.evaluation.measuring.baselines import fill_mean, fill_telea
from pconv_hpc.masks.mask_drawing import MaskPlan, draw_mask
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.model.weights import load_model
from pconv_hpc.photos.sample_photos import sample_photos
from tests.support.paths import REPOSITORY

SIZE = 192  # of the photos here; it takes any
HELD_OUT = ("astronaut", "temple")


def test_it_is_small_and_describes_itself() -> None:
    assert SHIPPED_WEIGHTS.stat().st_size <= 20e6
    model, config, metadata = load_model(SHIPPED_WEIGHTS)
    assert metadata["image_size"] == 256
    # it names the card by where that lay when the weights were made
    assert Path(metadata["model_card"]).name == "model_card.md"
    assert (REPOSITORY / "docs/reference/model_card.md").is_file()
    assert config.levels == len(model.encoder)


def test_it_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(
        [
            "git",
            "-c",
            f"safe.directory={REPOSITORY}",
            "clone",
            "--quiet",
            "--shared",
            REPOSITORY,
            source,
        ],
        check=True,
    )
    build = ("pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir")
    subprocess.run([sys.executable, "-m", *build, tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "pconv_hpc/weights/photos.h5" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("style", ["strokes", "boxes"])
def test_it_fills_better_than_mean_colour_and_no_worse_than_telea(style: str) -> None:
    """Square errors in the holes of photos that it has never seen; holes of 1% to 60%."""
    model, _, _ = load_model(SHIPPED_WEIGHTS)
    photos = [_square(sample_photos()[name]) for name in HELD_OUT]
    plan = MaskPlan(size=SIZE, seed=7, style_weights={style: 1.0})
    errors = {"network": 0.0, "telea": 0.0, "mean": 0.0}
    for index in range(12):
        valid = draw_mask(plan, None, index)
        photo = photos[index % len(photos)]
        hole = valid == 0
        output = model.predict_on_batch([photo[None] / np.float32(255), valid[None, ..., None]])
        fills = {
            "network": np.clip(np.asarray(output)[0], 0, 1) * 255,
            "telea": fill_telea(photo, hole),
            "mean": fill_mean(photo, hole),
        }
        for name, fill in fills.items():
            errors[name] += float(np.square(fill[hole] - photo[hole].astype(float)).mean())
    assert errors["network"] < 0.5 * errors["mean"]
    assert errors["network"] < errors["telea"]


def _square(photo: np.ndarray) -> np.ndarray:
    side = min(photo.shape[:2])
    return np.asarray(Image.fromarray(photo[:side, :side]).resize((SIZE, SIZE)))
