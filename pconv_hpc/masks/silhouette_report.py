"""What a silhouette file holds, at a glance: a table of classes and a contact sheet."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.foundation.text import aligned
from pconv_hpc.masks.silhouette_file import SilhouetteFile

_MAX_TILES = 144
TILE_SIZE = 96  # pixels
_MARGIN = 4


def class_table(file: SilhouetteFile) -> str:
    """Return how many silhouettes of each class there are, and their usual share of the photo."""
    num_pixels = file.photo_sizes.astype(np.float64).prod(axis=1)
    x0, y0, x1, y1 = file.boxes.astype(np.float64).T
    shares = (x1 - x0) * (y1 - y0) / np.maximum(num_pixels, 1)
    counts = np.bincount(file.classes, minlength=len(file.class_names))
    rows = [["class", "silhouettes", "median box, % of photo"]]
    for index in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
        median = 100 * np.median(shares[file.classes == index])
        rows.append([file.class_names[index], f"{counts[index]:,}", f"{median:.1f}"])
    return "\n".join(aligned(rows, numbers=True))


def silhouette_tiles(file: SilhouetteFile) -> NDArray[np.uint8]:
    """Return up to 144 silhouettes, white on black, uint8 (N, 96, 96, 3), class by class.

    Those shown are a random sample, the same each time.
    """
    lots = sample_hash(0, 0, np.arange(file.num_silhouettes), Stream.CONTACT_SHEET)
    shown = np.sort(np.argsort(lots, kind="stable")[:_MAX_TILES])
    shown = shown[np.argsort(file.classes[shown], kind="stable")]
    return np.stack([_tile(file.shape(int(index))) for index in shown])


def _tile(shape: NDArray[np.bool_]) -> NDArray[np.uint8]:
    picture = Image.fromarray(shape.astype(np.uint8) * 255)
    scale = (TILE_SIZE - 2 * _MARGIN) / max(shape.shape)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    tile = Image.new("RGB", (TILE_SIZE, TILE_SIZE))
    place = ((TILE_SIZE - width) // 2, (TILE_SIZE - height) // 2)
    tile.paste(picture.resize((width, height), Image.Resampling.BICUBIC).convert("RGB"), place)
    return np.asarray(tile)
