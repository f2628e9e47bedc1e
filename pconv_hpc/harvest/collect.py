"""Collecting silhouettes: photos through the network, block by block, shared among ranks.

Which photos make up a block, and so a batch, depends on nothing but their list: the result is the
same for any number of ranks, interrupted or not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.harvest.outlines import Criteria
from pconv_hpc.harvest.parts import Parts, check_same_harvest
from pconv_hpc.harvest.photo_blocks import BLOCK_PHOTOS, BlockFinder
from pconv_hpc.masks.silhouette_file import (
    MAX_SILHOUETTES,
    Silhouette,
    SilhouetteFile,
    distinct,
    write_silhouettes,
)
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.photos.sources.photo_source import Photos

if TYPE_CHECKING:
    from pconv_hpc.segmentation.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class HarvestSettings:
    """What is to be collected.

    Attributes:
        criteria: which objects.
        max_objects: silhouettes in the file at most; if more are found, a random sample is kept.
        max_photos: photos to look at, a random sample; ``None``: all.

    Raises:
        UsageError: ``max_objects`` is more than a silhouette file holds.
    """

    criteria: Criteria
    max_objects: int
    max_photos: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_objects <= MAX_SILHOUETTES:
            raise UsageError(f"--max-objects {self.max_objects}: at most {MAX_SILHOUETTES:,}")


def harvest(
    photos: Photos,
    segmenter: "Segmenter",
    settings: HarvestSettings,
    out: Path,
    *,
    world: World,
    num_threads: int = 4,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[tuple[str, str]]:
    """Find objects in photos and write their silhouettes to the file ``out``, whole or not at all.

    All ranks call this together. What an earlier call found, kept beside ``out``, is used. If
    ``out`` is the result of the same harvest, nothing is done.

    Returns:
        (photo, reason) of photos that cannot be read, on rank 0; nothing if ``out`` was complete.

    Raises:
        UsageError: ``out`` or the folder of its parts is of another harvest, or the network does
            not know a class.
        PconvError: no object fits, a photo cannot be read now, or the network fails.
        Interrupted: ``should_stop`` said so; the same call continues.
    """
    criteria = settings.criteria.checked(segmenter.classes)
    recipe = {
        "photos": photos.fingerprint,
        "max_photos": settings.max_photos,
        "block_photos": BLOCK_PHOTOS,
        "network": segmenter.description,
        "criteria": criteria.as_json(),
    }
    whole_recipe = recipe | {"max_objects": settings.max_objects}
    if world.broadcast(is_harvested(out, whole_recipe) if world.is_first else None):
        return []
    parts = Parts(out)
    if world.is_first:
        parts.begin(recipe)
    chosen = choose_photos(len(photos.keys), settings.max_photos)
    finder = BlockFinder(photos, segmenter, criteria, chosen, max_pixels=max_pixels)
    done = world.broadcast({block.number for block in parts.blocks()} if world.is_first else None)
    mine = [number for number in range(finder.num_blocks) if number not in done]
    mine = mine[world.rank :: world.size]
    num_mine = sum(len(finder.positions(number)) for number in mine)
    bar = tqdm(total=num_mine, desc="finding objects", unit="photo", disable=not world.is_first)
    num_finished = 0
    with parts.journal() as journal, bar:
        for block in finder.blocks(mine, num_threads=num_threads, should_stop=should_stop):
            journal.append(block)
            num_finished += 1
            bar.update(len(finder.positions(block.number)))
    if num_finished < len(mine):
        raise Interrupted(
            f"stopped; {num_finished} of {len(mine)} blocks of {BLOCK_PHOTOS} photos are done and "
            f"kept in {parts.folder}: run the same command again to continue"
        )
    world.barrier()
    return _finish(out, parts, settings, whole_recipe) if world.is_first else []


def choose_photos(num_photos: int, max_photos: int | None) -> NDArray[np.int64]:
    """Return the numbers of the photos to look at, rising: all, or a random sample.

    Folders are sorted by class: their first photos would all show the same.
    """
    if max_photos is None or max_photos >= num_photos:
        return np.arange(num_photos)
    hashes = sample_hash(0, 0, np.arange(num_photos), Stream.HARVEST_PHOTOS)
    return np.sort(np.argsort(hashes, kind="stable")[:max_photos])


def is_harvested(out: Path, recipe: dict[str, Any]) -> bool:
    """Return whether ``out`` is there, collected by this recipe.

    Raises:
        UsageError: it is there, and is another harvest or no silhouette file.
    """
    if not out.exists():
        return False
    check_same_harvest(out, SilhouetteFile(out).recipe, recipe, "remove it, or choose another name")
    return True


def _finish(
    out: Path, parts: Parts, settings: HarvestSettings, recipe: dict[str, Any]
) -> list[tuple[str, str]]:
    failed: dict[str, str] = {}

    def silhouettes() -> Iterator[Silhouette]:
        for block in parts.blocks():
            failed.update(block.failed)
            yield from block.silhouettes

    collected = distinct(silhouettes(), settings.max_objects)
    if not collected:
        photo, reason = min(failed.items(), default=("", ""))
        raise PconvError(
            f"no object in any photo fits; delete {parts.folder} and try other --classes, a lower "
            "--min-score or --keep-cut-off"
            + (f". {len(failed)} photos cannot be read, as {photo}: {reason}" if failed else "")
        )
    with writing(out):
        write_silhouettes(out, collected, recipe)
    parts.remove()
    return sorted(failed.items())
