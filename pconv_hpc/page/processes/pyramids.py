"""Large photos as a browser looks at them: tiles of the photo at its size, half of it, and on."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.mask_values import ERASED

TILE_SIZE = 512
_QUALITY = 90
_HOLE_COLOR = (255, 45, 85)
_MAX_CACHED_BYTES = 1 << 30

Value = TypeVar("Value")


def num_levels(height: int, width: int) -> int:
    """Return how many sizes there are; the last one fits a single tile."""
    levels = 1
    while max(height, width) > TILE_SIZE << (levels - 1):
        levels += 1
    return levels


class Pyramid:
    """A photo at its own size (level 0), half of it (level 1), and so on.

    Args:
        rgb: uint8 (H, W, 3), the largest level that is there.
        lowest: which level that is.
    """

    def __init__(self, rgb: np.ndarray, lowest: int = 0) -> None:
        self._levels = [rgb]
        self._lowest = lowest
        self._lock = threading.Lock()
        self._num_levels = num_levels(*rgb.shape[:2])

    @property
    def num_bytes(self) -> int:
        """What it takes in memory with all levels."""
        return self._levels[0].nbytes * 4 // 3

    def tile(self, level: int, column: int, row: int) -> bytes:
        """Return a tile as a JPEG.

        Raises:
            UsageError: there is no such tile.
        """
        pixels = _part(self._level(level), column, row)
        return _encoded(Image.fromarray(pixels), "JPEG", quality=_QUALITY, subsampling=0)

    def _level(self, level: int) -> np.ndarray:
        level -= self._lowest
        if not 0 <= level < self._num_levels:
            raise UsageError("the photo has no such level")
        with self._lock:
            while len(self._levels) <= level:
                above = self._levels[-1]
                height, width = (max(1, -(-side // 2)) for side in above.shape[:2])
                smaller = cv2.resize(above, (width, height), interpolation=cv2.INTER_AREA)
                self._levels.append(smaller)
            return self._levels[level]


def mask_tile(pixels: np.ndarray, level: int, column: int, row: int) -> bytes:
    """Return a tile of a mask as a PNG to lay over the photo's: coloured where something is erased.

    Args:
        pixels: uint8 (H, W), as a mask is written.
        level: of the photo's pyramid.
        column: of the tile.
        row: of the tile.

    Raises:
        UsageError: there is no such tile.
    """
    if not 0 <= level < num_levels(*pixels.shape):
        raise UsageError("the mask has no such level")
    height, width = (-(-side // (1 << level)) for side in pixels.shape)
    part = _part(pixels, column, row, TILE_SIZE << level)
    step = 1 << max(0, level - 2)  # of large masks some of the pixels tell enough
    cover = (part[::step, ::step] == ERASED).astype(np.uint8) * 255
    if level:
        shape = (
            min(TILE_SIZE, width - column * TILE_SIZE),
            min(TILE_SIZE, height - row * TILE_SIZE),
        )
        cover = cv2.resize(cover, shape, interpolation=cv2.INTER_AREA)
    rgba = np.empty((*cover.shape, 4), dtype=np.uint8)
    rgba[..., :3] = _HOLE_COLOR
    rgba[..., 3] = cover
    return _encoded(Image.fromarray(rgba), "PNG", compress_level=1)


def _part(pixels: np.ndarray, column: int, row: int, side: int = TILE_SIZE) -> np.ndarray:
    height, width = pixels.shape[:2]
    top, left = row * side, column * side
    if not (0 <= top < height and 0 <= left < width):
        raise UsageError(f"tile {column}, {row} is outside the photo")
    return pixels[top : top + side, left : left + side]


def _encoded(image: Image.Image, image_format: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


class Cache(Generic[Value]):
    """Keeps what was made last, up to a number of bytes; makes a thing once for all who want it."""

    def __init__(self, size_of: Callable[[Value], int], max_bytes: int = _MAX_CACHED_BYTES) -> None:
        self._size_of = size_of
        self._max_bytes = max_bytes
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        """Return what is kept under a key; what is not there is made, and others are forgotten."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._values[key] = value
                total = sum(map(self._size_of, self._values.values()))
                while total > self._max_bytes and len(self._values) > 1:
                    _, dropped = self._values.popitem(last=False)
                    total -= self._size_of(dropped)
            return value
