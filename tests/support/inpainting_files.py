"""A tiny network and photos with masks on disk."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.weights import save_weights
from pconv_hpc.photos.sample_photos import sample_photos

CONFIG = ModelConfig(levels=3, base_channels=4)
IMAGE_SIZE = 64


def save_tiny_weights(path: Path, **metadata: Any) -> Path:
    """Write the weights of an untrained network."""
    save_weights(path, build_pconv_unet(CONFIG), CONFIG, metadata=metadata)
    return path


def save_photo_and_mask(photo_path: Path, mask_path: Path, name: str = "cat") -> np.ndarray:
    """Write a sample photo and a mask of two holes; return the mask, true = erase."""
    photo = sample_photos()[name][:240, :320]
    hole = np.zeros(photo.shape[:2], dtype=bool)
    hole[60:90, 100:140] = hole[200:210, 10:20] = True
    for path, values in ((photo_path, photo), (mask_path, hole)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
    return hole
