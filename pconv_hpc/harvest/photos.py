"""The photos that silhouettes are harvested from: a folder's, a tar file's or a pack's."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.photos.decode import ImageError, decode_rgb
from pconv_hpc.photos.sources.open_source import open_source
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.shard_index import INDEX_NAME

_MAX_FILE_BYTES = 1 << 30  # of one photo; read into memory whole


class HarvestPhotos(ABC):
    """Photos by number.

    Attributes:
        num_photos: N.
        fingerprint: equal for equal photos.
    """

    num_photos: int
    fingerprint: str

    @abstractmethod
    def key(self, number: int) -> str:
        """Return the name of photo ``number``, 0 to N - 1."""

    @abstractmethod
    def image(self, number: int) -> NDArray[np.uint8]:
        """Return photo ``number``, uint8 (H, W, 3), upright; may be called on any thread.

        Raises:
            ImageError: it cannot be decoded, and never will be.
            PconvError: it cannot be read now.
        """


class SourcePhotos(HarvestPhotos):
    """Encoded photos of a folder or a tar file."""

    def __init__(self, source: PhotoSource, max_pixels: int) -> None:
        self._source, self._max_pixels = source, max_pixels
        self.num_photos = len(source.keys)
        self.fingerprint = source.fingerprint

    def key(self, number: int) -> str:
        return self._source.keys[number]

    def image(self, number: int) -> NDArray[np.uint8]:
        num_bytes = int(self._source.sizes[number])
        if num_bytes > _MAX_FILE_BYTES:
            raise ImageError(f"a file of {num_bytes:,} bytes; at most {_MAX_FILE_BYTES:,} are read")
        return decode_rgb(self._source.read(number), max_pixels=self._max_pixels)


class PackedPhotos(HarvestPhotos):
    """The square images of a pack."""

    def __init__(self, index_path: Path) -> None:
        self._reader = ShardReader(index_path)
        self.num_photos = self._reader.num_images
        self.fingerprint = self._reader.fingerprint

    def key(self, number: int) -> str:
        return self._reader.key(number)

    def image(self, number: int) -> NDArray[np.uint8]:
        return self._reader.images([number])[0]


def open_photos(
    path: Path,
    cache_dir: Path,
    world: World,
    *,
    max_pixels: int,
    save_index: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> HarvestPhotos:
    """Open a pack (its ``index.json`` or its folder), a folder of photos, or a tar file.

    All ranks call this together.

    Args:
        path: of one of these.
        cache_dir: where the offsets in a tar file are kept, if ``save_index``.
        world: the ranks.
        max_pixels: larger photos are refused before they are decoded.
        save_index: see ``cache_dir``.
        should_stop: asked while a tar file is scanned.

    Raises:
        UsageError: there is none of these, or it cannot be read.
        Interrupted: ``should_stop`` said so.
    """
    if path.name == INDEX_NAME or (path / INDEX_NAME).is_file():
        return PackedPhotos(path)
    source = open_source(path, cache_dir, world, save_index=save_index, should_stop=should_stop)
    return SourcePhotos(source, max_pixels)


def choose_photos(num_photos: int, max_photos: int | None) -> NDArray[np.int64]:
    """Return the numbers of the photos to look at, rising; of too many a lot decides.

    Folders are sorted by class: their first photos would all show the same.
    """
    if max_photos is None or max_photos >= num_photos:
        return np.arange(num_photos)
    lots = sample_hash(0, 0, np.arange(num_photos), Stream.HARVEST_PHOTOS)
    return np.sort(np.argsort(lots, kind="stable")[:max_photos])
