"""The photos that an evaluation measures on: packed ones, or any folder of files."""

from pathlib import Path
from typing import Protocol

import numpy as np

from pconv_hpc.data.decode import decode_square
from pconv_hpc.data.shard_index import INDEX_NAME
from pconv_hpc.data.shards import ShardReader
from pconv_hpc.data.sources import open_source
from pconv_hpc.errors import UsageError
from pconv_hpc.mpi import World


class Photos(Protocol):
    """Square photos of one size, in a fixed order.

    Attributes:
        num_photos: how many there are.
        size: S, their side in pixels.
        order: how that order came about, in words.
    """

    num_photos: int
    size: int
    order: str

    def key(self, index: int) -> str:
        """Return the name of photo ``index``."""

    def photo(self, index: int) -> np.ndarray:
        """Return photo ``index`` as uint8 (S, S, 3).

        Raises:
            ImageError: the file cannot be decoded.
        """


class PackedPhotos:
    """The first photos of a pack, cut at the centre as in validation; see ``Photos``."""

    order = "the first of the pack, their centres"

    def __init__(self, index_path: Path, *, size: int, num_photos: int) -> None:
        self._reader = ShardReader(index_path)
        if self._reader.image_size < size:
            raise UsageError(
                f"{index_path}: its photos have {self._reader.image_size} pixels a side, fewer "
                f"than --size {size}; lower it, or evaluate on the folder of photos"
            )
        self.num_photos = min(num_photos, self._reader.num_images)
        self.size = size

    def key(self, index: int) -> str:
        return self._reader.key(index)

    def photo(self, index: int) -> np.ndarray:
        start = (self._reader.image_size - self.size) // 2
        inside = slice(start, start + self.size)
        return np.ascontiguousarray(self._reader.images([index])[0, inside, inside])


class FolderPhotos:
    """Photos of a folder tree, drawn by lot, scaled and cut to squares; see ``Photos``."""

    order = "drawn from the folder by the seed, scaled, their centres"

    def __init__(
        self, folder: Path, *, size: int, num_photos: int, seed: int, world: World
    ) -> None:
        self._source = open_source(folder, folder, world, save_index=False)
        if not self._source.keys:
            raise UsageError(f"{folder}: holds no photos; expected JPEG, PNG, WebP or TIFF files")
        lots = np.random.default_rng(seed).random(len(self._source.keys))
        self._chosen = np.argsort(lots, kind="stable")[:num_photos]
        self.num_photos = len(self._chosen)
        self.size = size

    def key(self, index: int) -> str:
        return self._source.keys[self._chosen[index]]

    def photo(self, index: int) -> np.ndarray:
        return decode_square(self._source.read(int(self._chosen[index])), self.size)


def open_photos(path: Path, *, size: int, num_photos: int, seed: int, world: World) -> Photos:
    """Open a pack's ``index.json`` (or its folder), or a folder of photos. All ranks call this.

    Raises:
        UsageError: it is neither, or has no photos of that size.
    """
    path = Path(path)
    if path.is_file() or (path / INDEX_NAME).is_file():
        return PackedPhotos(path, size=size, num_photos=num_photos)
    return FolderPhotos(path, size=size, num_photos=num_photos, seed=seed, world=world)
