"""Many small pictures on one, to see at a glance what a pack holds."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.disk_space import writing

_GAP = 4  # pixels between tiles
_PAPER = (255, 255, 255)


def contact_sheet(images: np.ndarray, *, tile_size: int = 128) -> Image.Image:
    """Return uint8 images (N, S, S, 3), N >= 1, as tiles of a nearly square grid, row by row."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    pitch = tile_size + _GAP
    sheet = Image.new("RGB", (columns * pitch + _GAP, rows * pitch + _GAP), _PAPER)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        tile = Image.fromarray(image).resize((tile_size, tile_size), Image.Resampling.LANCZOS)
        sheet.paste(tile, (_GAP + column * pitch, _GAP + row * pitch))
    return sheet


def save_contact_sheet(path: Path, images: np.ndarray, *, tile_size: int = 128) -> None:
    """Write ``contact_sheet(images)`` to ``path`` as PNG, atomically.

    Raises:
        PconvError: it cannot be written.
    """
    stream = io.BytesIO()
    contact_sheet(images, tile_size=tile_size).save(stream, "PNG")
    with writing(path):
        atomic.write_bytes(path, stream.getvalue())
