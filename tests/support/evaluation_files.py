"""What tests of evaluations work on: small photos, a small network, random weights for LPIPS."""

from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.evaluation.figures.lpips_weights import array_shapes
from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from pconv_hpc.photos.sample_photos import sample_photos


def write_photos(folder: Path) -> Path:
    """Write the sample photos, an eighth as large, as PNGs."""
    folder.mkdir(parents=True)
    for name, photo in sample_photos().items():
        Image.fromarray(np.ascontiguousarray(photo[::6, ::6])).save(folder / f"{name}.png")
    return folder


def write_network(path: Path, *, image_size: int = 32) -> Path:
    """Write the weights of a small untrained network."""
    config = ModelConfig(levels=2, base_channels=4, max_channels=8, encoder_kernels=(3,))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, build_pconv_unet(config), config, metadata={"image_size": image_size})
    return path


def random_lpips_arrays(seed: int) -> dict[str, np.ndarray]:
    """Return arrays of the names and shapes of LPIPS' weights, float32."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in array_shapes().items():
        fan_in = int(np.prod(shape[1:])) or 1
        values = rng.normal(0, np.sqrt(2 / fan_in), shape)
        arrays[name] = (np.abs(values) if name.startswith("lin") else values).astype(np.float32)
    return arrays
