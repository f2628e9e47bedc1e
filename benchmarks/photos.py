"""Folders of mixed photos and masks, made of the photos that scikit-image and scikit-learn ship."""

from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.photos.sample_photos import sample_photos

_FORMATS = ("jpg", "jpg", "jpg", "png", "webp")  # mostly JPEG, as folders of photos are
_SHORT_SIDES = (240, 480, 480, 720)
_HOLES = (1, 1, 2, 3)


def write_mixed_photos(folder: Path, count: int, *, seed: int = 0) -> None:
    """Write ``count`` photos of several sizes and formats to ``folder``/photos, masks to /masks.

    A mask marks one to three ellipses, each 10% to 30% of the photo's short side.
    """
    rng = np.random.default_rng(seed)
    sources = list(sample_photos().values())
    for name in ("photos", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = Image.fromarray(sources[number % len(sources)])
        scale = float(rng.choice(_SHORT_SIDES)) / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        suffix = _FORMATS[number % len(_FORMATS)]
        image.save(folder / "photos" / f"{number:05d}.{suffix}", quality=90)
        hole = np.zeros((image.height, image.width), np.bool_)
        rows, columns = np.ogrid[: image.height, : image.width]
        for _ in range(rng.choice(_HOLES)):
            height, width = rng.uniform(0.05, 0.15, 2) * min(image.size)
            top, left = rng.uniform(0.2, 0.8, 2) * (image.height, image.width)
            hole |= ((rows - top) / height) ** 2 + ((columns - left) / width) ** 2 <= 1
        Image.fromarray(hole).save(folder / "masks" / f"{number:05d}.png")
