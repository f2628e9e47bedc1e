"""Folders of mask PNGs that tests draw for themselves."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_figure(size: int = 96) -> Image.Image:
    """Return a white figure with a head, a body and two legs on black, mode L."""
    image = Image.new("L", (size, size))
    draw = ImageDraw.Draw(image)
    unit = size / 12
    draw.ellipse((5 * unit, 1 * unit, 7 * unit, 3 * unit), fill=255)
    draw.rectangle((4 * unit, 3 * unit, 8 * unit, 7 * unit), fill=255)
    draw.rectangle((4 * unit, 7 * unit, 5 * unit, 11 * unit), fill=255)
    draw.rectangle((7 * unit, 7 * unit, 8 * unit, 11 * unit), fill=255)
    return image


def draw_disk(size: int = 96) -> Image.Image:
    image = Image.new("L", (size, size))
    ImageDraw.Draw(image).ellipse((size // 4, size // 4, 3 * size // 4, 3 * size // 4), fill=255)
    return image


def make_mask_folder(folder: Path) -> Path:
    """Write two masks, one in a subfolder, and return the folder."""
    (folder / "more").mkdir(parents=True)
    draw_figure().save(folder / "figure.png")
    draw_disk().save(folder / "more" / "disk.PNG", format="PNG")
    return folder


def panoptic(labels: np.ndarray) -> Image.Image:
    """Return labels (H, W) as an RGB picture in COCO's encoding: red + 256 green + 65536 blue."""
    channels = [labels & 255, labels >> 8 & 255, labels >> 16 & 255]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
