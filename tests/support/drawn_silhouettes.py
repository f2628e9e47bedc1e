"""Silhouettes that tests draw for themselves."""

from pathlib import Path

import numpy as np

from pconv_hpc.masks.run_lengths import encode_runs
from pconv_hpc.masks.silhouette_file import Silhouette, write_silhouettes
from tests.support.mask_folders import draw_disk, draw_figure

RECIPE = {"network": "drawn", "criteria": {"classes": [], "min_score": 0.7}}


def outline(picture: object) -> np.ndarray:
    """Return a white object on black, cropped to it, bool (h, w)."""
    shape = np.asarray(picture) > 127
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def silhouette(shape: np.ndarray, **changes: object) -> Silhouette:
    height, width = shape.shape
    fields: dict = {
        "photo": "class/photo.jpg",
        "photo_size": (480, 640),
        "box": (10, 20, 10 + width, 20 + height),
        "class_name": "person",
        "score": 0.875,
        "size": (height, width),
        "counts": encode_runs(shape),
    }
    return Silhouette(**(fields | changes))


def drawn_silhouettes() -> list[Silhouette]:
    """Return a person and a ball."""
    person = silhouette(outline(draw_figure()))
    ball = silhouette(outline(draw_disk()), photo="é/2.jpg", class_name="ball", score=0.75)
    return [person, ball]


def write_drawn(path: Path) -> Path:
    write_silhouettes(path, drawn_silhouettes(), RECIPE)
    return path
