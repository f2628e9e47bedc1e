"""The photos of a pack by name, as those of a folder or a tar file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.photos.sources.open_source import open_source
from pconv_hpc.photos.sources.photo_source import Photos, safe_key
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.shard_index import is_pack


class PackedPhotos(Photos):
    """The square images of a pack.

    Raises:
        UsageError: there is no such pack, or it is damaged; later, where a shard is.
    """

    def __init__(self, index_path: Path) -> None:
        self._reader = ShardReader(index_path)
        self.keys = _Keys(self._reader)

    @property
    def fingerprint(self) -> str:
        return self._reader.fingerprint

    def version(self, index: int) -> int:
        """Return the CRC-32 it had when it was packed."""
        return int(self._reader.checksums([index])[0])

    def image(self, index: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
        return self._reader.images([index])[0]


class _Keys(Sequence[str]):
    """The names of a pack's images, each read when it is asked for."""

    def __init__(self, reader: ShardReader) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return self._reader.num_images

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # no slices
        key = self._reader.key(index)
        if safe_key(key) != key:  # results are named after it
            raise UsageError(
                f"{self._reader.shard_path(index)}: image {index} is called {key!r}, which leads "
                "out of a folder or is no name of a file; expected what pconv-hpc pack writes"
            )
        return key


def open_photos(
    path: Path,
    cache_dir: Path,
    world: World,
    *,
    save_index: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Photos:
    """Open a pack (its ``index.json`` or its folder), a folder of photos, or a tar file.

    All ranks call this together.

    Args:
        path: of one of these.
        cache_dir: where the offsets in a tar file are kept, if ``save_index``.
        world: the ranks.
        save_index: see ``cache_dir``.
        should_stop: asked while a tar file is scanned.

    Raises:
        UsageError: there is none of these, it holds no photos, or it cannot be read.
        Interrupted: ``should_stop`` said so.
    """
    if is_pack(path):
        photos: Photos = PackedPhotos(path)
    else:
        photos = open_source(path, cache_dir, world, save_index=save_index, should_stop=should_stop)
    if not photos.keys:
        raise UsageError(f"{path}: holds no photos")
    return photos
