"""Packing the photos of a folder in one process, for the tests of packing."""

from pathlib import Path
from typing import NamedTuple

from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.shards.pack import PackResult, pack
from pconv_hpc.shards.pack_plan import (
    PackOptions,
    plan_pack,
)
from pconv_hpc.shards.shard_file import ShardReader

ALONE = World({})
SIZE = 16


class Call(NamedTuple):
    """Packs ``photos`` into ``out``."""

    photos: Path
    out: Path

    def __call__(
        self, *, max_rejected: float = 0.01, stop_after: int = 10**9, **options
    ) -> PackResult:
        source = FolderSource(self.photos)
        chosen = {"split": "train", "image_size": SIZE, "images_per_shard": 4} | options
        plan = plan_pack(source, PackOptions(**chosen), source_path=self.photos)
        countdown = iter(range(stop_after))
        return pack(
            source,
            plan,
            self.out,
            max_rejected=max_rejected,
            world=ALONE,
            should_stop=lambda: next(countdown, None) is None,
        )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def keys_of(folder: Path) -> list[str]:
    with ShardReader(folder) as reader:
        return [reader.key(index) for index in range(reader.num_images)]
