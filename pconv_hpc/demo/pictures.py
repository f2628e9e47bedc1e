"""What the demonstration works on: crops to train on, and photos with something to erase."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pconv_hpc.photos.sample_photos import sample_photos

# What is erased, as (left, top, right, bottom) of ellipses and corners of polygons, in pixels.
_Shapes = list[list[tuple[int, int]] | tuple[int, int, int, int]]
_ERASE: dict[str, _Shapes] = {
    # the model of a space shuttle behind her
    "astronaut": [[(374, 0), (458, 0), (474, 150), (474, 284), (344, 284), (350, 180), (374, 140)]],
    # the finial on the roof, an island in the lake
    "temple": [[(196, 22), (220, 22), (226, 72), (190, 72)], (412, 214, 516, 258)],
}


def held_out_names() -> list[str]:
    """Return the photos that training never sees."""
    return sorted(_ERASE)


def write_crops(out_dir: Path, *, num_crops: int, size: int, held_out: bool, seed: int) -> None:
    """Write random square crops as PNG files, a folder for each photo they come from.

    A crop covers between a third and all of its photo's shorter side and is scaled to ``size``
    pixels. ``held_out`` takes the photos that are kept from training, else all others. Crops for
    training are also turned and have their colours exchanged, at random: so few photos would teach
    the network their own palettes and nothing else.
    """
    photos = {n: p for n, p in sample_photos().items() if (n in _ERASE) == held_out}
    rng = np.random.default_rng(seed)
    for number in range(num_crops):
        name = sorted(photos)[number % len(photos)]
        photo = photos[name]
        height, width = photo.shape[:2]
        side = round(min(height, width) * rng.uniform(1 / 3, 1))
        top = int(rng.integers(height - side + 1))
        left = int(rng.integers(width - side + 1))
        pixels = photo[top : top + side, left : left + side]
        if not held_out:
            pixels = np.rot90(pixels[..., rng.permutation(3)], int(rng.integers(4)))
        crop = Image.fromarray(np.ascontiguousarray(pixels))
        path = out_dir / name / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop.resize((size, size), Image.Resampling.LANCZOS).save(path)


def write_photo_to_click(path: Path) -> tuple[int, int]:
    """Write a photo of 192 x 192 pixels with a striped disc, and return the disc's middle (x, y)."""
    cat = Image.fromarray(sample_photos()["cat"][:300, :300]).resize((192, 192))
    rows, columns = np.mgrid[:192, :192]
    x, y, radius = 50, 140, 36
    stripes = np.where((rows + columns) % 12 < 6, 255, 140)
    disc = Image.fromarray((np.hypot(rows - y, columns - x) < radius).astype(np.uint8) * 255)
    red = np.stack([stripes * part // 255 for part in (220, 50, 40)], axis=-1).astype(np.uint8)
    cat.paste(Image.fromarray(red), mask=disc)
    path.parent.mkdir(parents=True, exist_ok=True)
    cat.save(path)
    return x, y


def write_photos_to_erase(photos_dir: Path, masks_dir: Path) -> None:
    """Write the held-out photos and, under the same names, masks that are white where to erase."""
    photos = sample_photos()
    for directory in (photos_dir, masks_dir):
        directory.mkdir(parents=True, exist_ok=True)
    for name, shapes in _ERASE.items():
        photo = Image.fromarray(photos[name])
        mask = Image.new("L", photo.size, 0)
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            if isinstance(shape, list):
                draw.polygon(shape, fill=255)
            else:
                draw.ellipse(shape, fill=255)
        photo.save(photos_dir / f"{name}.png")
        mask.save(masks_dir / f"{name}.png")
