"""Photos with pasted shapes of three classes and their masks: what the small network learns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.draw import polygon2mask

from pconv_hpc.photos.sample_photos import sample_photos

CLASSES = ("circle", "square", "star")
HELD_OUT = ("cat", "rocket")  # photos that training never sees
IMAGE_SIZE = 192
_DIAMETERS = (44, 100)
_MAX_SHAPES = 3


@dataclass(frozen=True)
class ShapePhoto:
    """A photo with shapes pasted on it.

    Attributes:
        image: uint8 (S, S, 3).
        labels: int64 (N,), indices into ``CLASSES``.
        masks: bool (N, S, S), True where the shape is seen.
    """

    image: np.ndarray
    labels: np.ndarray
    masks: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        """float32 (N, 4): x0, y0, x1, y1 of each mask, the ends exclusive."""
        return np.array([_box(mask) for mask in self.masks], dtype=np.float32).reshape(-1, 4)


class ShapePhotos:
    """An endless, seeded supply of shape photos: photo ``index`` is the same every time."""

    def __init__(self, *, seed: int, held_out: bool, size: int = IMAGE_SIZE) -> None:
        """Take the backgrounds from the sample photos that are, or are not, held out."""
        self._backgrounds = [
            photo for name, photo in sample_photos().items() if (name in HELD_OUT) == held_out
        ]
        self._seed = seed
        self._size = size

    def __getitem__(self, index: int) -> ShapePhoto:
        rng = np.random.default_rng((self._seed, index))
        image = _background(
            self._backgrounds[rng.integers(len(self._backgrounds))], self._size, rng
        )
        labels: list[int] = []
        masks: list[np.ndarray] = []
        for _ in range(rng.integers(1, _MAX_SHAPES + 1)):
            label = int(rng.integers(len(CLASSES)))
            mask = _free_place(label, masks, self._size, rng)
            if mask is not None:
                labels.append(label)
                masks.append(mask)
                image = _paste(image, mask, label, rng)
        return ShapePhoto(image, np.array(labels, dtype=np.int64), np.array(masks))


def _background(photo: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    side = int(rng.uniform(0.5, 1.0) * min(photo.shape[:2]))
    top = int(rng.integers(photo.shape[0] - side + 1))
    left = int(rng.integers(photo.shape[1] - side + 1))
    crop = Image.fromarray(photo[top : top + side, left : left + side])
    pixels = np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _free_place(
    label: int, others: list[np.ndarray], size: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Return a shape that touches no other one, or None if no place was found."""
    taken = np.any(others, axis=0) if others else np.zeros((size, size), dtype=bool)
    for _ in range(20):
        radius = rng.uniform(*_DIAMETERS) / 2
        x, y = rng.uniform(0.8 * radius, size - 0.8 * radius, size=2)
        mask = _OUTLINES[label](size, x, y, radius, rng.uniform(0, 2 * np.pi))
        if not (ndimage.binary_dilation(mask, iterations=3) & taken).any():
            return mask
    return None


def _circle(size: int, x: float, y: float, radius: float, angle: float) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows - y, columns - x) < radius


def _square(size: int, x: float, y: float, radius: float, angle: float) -> np.ndarray:
    return _polygon(size, x, y, angle + np.arange(4) * np.pi / 2, np.full(4, radius))


def _star(size: int, x: float, y: float, radius: float, angle: float) -> np.ndarray:
    radii = np.where(np.arange(10) % 2, 0.5 * radius, radius)
    return _polygon(size, x, y, angle + np.arange(10) * np.pi / 5, radii)


def _polygon(size: int, x: float, y: float, angles: np.ndarray, radii: np.ndarray) -> np.ndarray:
    corners = np.stack([y + radii * np.sin(angles), x + radii * np.cos(angles)], axis=1)
    return polygon2mask((size, size), corners)


_OUTLINES: tuple[Callable[..., np.ndarray], ...] = (_circle, _square, _star)
_COLORS = ((220, 50, 40), (40, 80, 220), (240, 210, 40))  # red, blue, yellow


def _paste(image: np.ndarray, mask: np.ndarray, label: int, rng: np.random.Generator) -> np.ndarray:
    """Paint stripes, checks or dots of the class' colour where the mask is, with a soft edge."""
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    period = rng.uniform(9, 16)
    across, down = columns * 2 * np.pi / period, rows * 2 * np.pi / period
    wave = (np.sin(across + down), np.sin(across) * np.sin(down), np.cos(across) + np.cos(down) - 1)
    bright = np.where(wave[label] > 0, 1.0, 0.55)[..., None]
    color = np.clip(np.array(_COLORS[label]) + rng.uniform(-30, 30, size=3), 0, 255)
    alpha = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)[..., None]
    painted = alpha * color * bright * rng.uniform(0.8, 1.1) + (1 - alpha) * image
    return np.clip(np.rint(painted), 0, 255).astype(np.uint8)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
