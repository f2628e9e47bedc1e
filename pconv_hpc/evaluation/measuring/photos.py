"""The photos that an evaluation measures on: packed ones, or any folder of files."""

from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
from pconv_hpc.photos.sources.open_source import open_source
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.shard_index import is_pack

MIN_SIDE = 32  # LPIPS and SSIM need that much


class Photos(Protocol):
    """Photos in a fixed order, each at its own size or all cut to squares.

    Attributes:
        num_photos: how many there are.
        order: how that order came about, in words.
    """

    num_photos: int
    order: str

    def key(self, index: int) -> str:
        """Return the name of photo ``index``."""

    def photo(self, index: int) -> np.ndarray:
        """Return photo ``index`` as uint8 (H, W, 3), no side shorter than ``MIN_SIDE``.

        Raises:
            ImageError: the file cannot be decoded, or is too small.
        """


class PackCentres:
    """The first photos of a pack; cut at the centre as in validation if so told; see ``Photos``."""

    def __init__(self, index_path: Path, *, size: int | None, num_photos: int) -> None:
        self._reader = ShardReader(index_path)
        self._size = size or self._reader.image_size
        if self._reader.image_size < self._size or self._size < MIN_SIDE:
            raise UsageError(
                f"{index_path}: its photos have {self._reader.image_size} pixels a side; expected "
                f"at least --size {max(self._size, MIN_SIDE)}: evaluate on the folder of photos"
            )
        self.num_photos = min(num_photos, self._reader.num_images)
        self.order = "the first of the pack" + (", their centres" if size else "")

    def key(self, index: int) -> str:
        return self._reader.key(index)

    def photo(self, index: int) -> np.ndarray:
        start = (self._reader.image_size - self._size) // 2
        inside = slice(start, start + self._size)
        return np.ascontiguousarray(self._reader.images([index])[0, inside, inside])


class FolderPhotos:
    """A random sample of the photos of a folder tree; see ``Photos``.

    Args:
        folder: what holds them.
        size: they are scaled and cut to squares of that side; None leaves them as they are.
        max_side: larger ones are scaled down to that.
        num_photos: how many are drawn, at most.
        seed: of the lot.
        world: the ranks.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int | None,
        max_side: int,
        num_photos: int,
        seed: int,
        world: World,
    ) -> None:
        self._source = open_source(folder, folder, world, save_index=False)
        if not self._source.keys:
            raise UsageError(f"{folder}: holds no photos; expected JPEG, PNG, WebP or TIFF files")
        lots = np.random.default_rng(seed).random(len(self._source.keys))
        self._chosen = np.argsort(lots, kind="stable")[:num_photos]
        self.num_photos = len(self._chosen)
        self._size = size
        self._max_side = max_side
        self.order = "drawn from the folder by the seed" + (
            ", scaled, their centres" if size else f", none larger than {max_side} pixels a side"
        )

    def key(self, index: int) -> str:
        return self._source.keys[self._chosen[index]]

    def photo(self, index: int) -> np.ndarray:
        data = self._source.read(int(self._chosen[index]))
        if self._size:
            return decode_square(data, self._size)
        return _of_fitting_size(decode_rgb(data), self._max_side)


def _of_fitting_size(photo: np.ndarray, max_side: int) -> np.ndarray:
    """Return a photo, scaled down if a side is above ``max_side``."""
    height, width = photo.shape[:2]
    factor = min(1.0, max_side / max(height, width))
    if factor < 1:
        sides = (max(1, round(width * factor)), max(1, round(height * factor)))
        scaled = Image.fromarray(photo).resize(sides, Image.Resampling.BICUBIC, reducing_gap=3.0)
        photo = np.array(scaled)
    if min(photo.shape[:2]) < MIN_SIDE:
        raise ImageError(
            f"{photo.shape[1]} x {photo.shape[0]} pixels; expected at least {MIN_SIDE} a side"
        )
    return photo


def open_photos(
    path: Path, *, size: int | None, max_side: int, num_photos: int, seed: int, world: World
) -> Photos:
    """Open a pack's ``index.json`` (or its folder), or a folder of photos. All ranks call this.

    Args:
        path: the pack or the folder.
        size: photos are cut to squares of that side; None leaves them at their own size.
        max_side: of a photo at its own size; a larger one is scaled down.
        num_photos: at most.
        seed: of the choice among a folder's photos.
        world: the ranks.

    Raises:
        UsageError: it is neither, or has no photos of that size.
    """
    path = Path(path)
    if path.is_file() or is_pack(path):
        return PackCentres(path, size=size, num_photos=num_photos)
    return FolderPhotos(
        path, size=size, max_side=max_side, num_photos=num_photos, seed=seed, world=world
    )
