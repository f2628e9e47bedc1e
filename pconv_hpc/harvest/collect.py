"""Collecting silhouettes: photos through the network, block by block, shared among ranks.

Which photos make up a block, and so a batch, depends on nothing but their list: the result is the
same for any number of ranks, interrupted or not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.harvest.outlines import Criteria
from pconv_hpc.harvest.parts import Parts, check_same_harvest
from pconv_hpc.harvest.photo_blocks import BLOCK_PHOTOS, BlockFinder
from pconv_hpc.harvest.photos import HarvestPhotos, choose_photos
from pconv_hpc.masks.silhouette_file import (
    MAX_SILHOUETTES,
    Silhouette,
    SilhouetteFile,
    distinct,
    write_silhouettes,
)

if TYPE_CHECKING:
    from pconv_hpc.segmentation.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be harvested.

    Attributes:
        criteria: which objects.
        max_objects: silhouettes in the file at most; of more a lot decides.
        max_photos: photos to look at, drawn by lot; default: all.
    """

    criteria: Criteria
    max_objects: int
    max_photos: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_objects <= MAX_SILHOUETTES:
            raise UsageError(f"--max-objects {self.max_objects}: at most {MAX_SILHOUETTES:,}")


def harvest(
    photos: HarvestPhotos,
    segmenter: "Segmenter",
    wish: Wish,
    out: Path,
    *,
    world: World,
    num_threads: int = 4,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[tuple[str, str]]:
    """Find objects in photos and write their silhouettes to the file ``out``, whole or not at all.

    All ranks call this together. What an earlier call found, kept beside ``out``, is used; where
    ``out`` is the very harvest already, nothing is done.

    Returns:
        (photo, reason) of photos that cannot be read, on rank 0; nothing if ``out`` was complete.

    Raises:
        UsageError: ``out`` or the folder of its parts holds another harvest, or the network does
            not know a class.
        PconvError: no object fits, no photo can be read, or the network fails.
        Interrupted: ``should_stop`` said so; the same call continues.
    """
    criteria = wish.criteria.checked(segmenter.classes)
    recipe = {
        "photos": photos.fingerprint,
        "max_photos": wish.max_photos,
        "block_photos": BLOCK_PHOTOS,
        "network": segmenter.description,
        "criteria": criteria.as_json(),
    }
    whole_recipe = recipe | {"max_objects": wish.max_objects}
    if world.broadcast(is_harvested(out, whole_recipe) if world.is_first else None):
        return []
    parts = Parts(out)
    if world.is_first:
        parts.begin(recipe)
    finder = BlockFinder(
        photos,
        segmenter,
        criteria,
        choose_photos(photos.num_photos, wish.max_photos),
        num_threads=num_threads,
        should_stop=should_stop,
    )
    done = world.broadcast({block.number for block in parts.blocks()} if world.is_first else None)
    mine = [number for number in range(finder.num_blocks) if number not in done]
    mine = mine[world.rank :: world.size]
    num_mine = sum(len(finder.photos_of(number)) for number in mine)
    bar = tqdm(total=num_mine, desc="finding objects", unit="photo", disable=not world.is_first)
    num_finished = 0
    with parts.journal() as journal, bar:
        for block in finder.blocks(mine):
            journal.append(block)
            num_finished += 1
            bar.update(len(finder.photos_of(block.number)))
    if num_finished < len(mine):
        raise Interrupted(
            f"stopped; {num_finished} of {len(mine)} blocks of {BLOCK_PHOTOS} photos are done and "
            f"kept in {parts.folder}: run the same command again to continue"
        )
    world.barrier()
    return _finish(out, parts, wish, whole_recipe) if world.is_first else []


def is_harvested(out: Path, recipe: dict[str, Any]) -> bool:
    """Return whether ``out`` is there, collected by this recipe.

    Raises:
        UsageError: it is there, and is another harvest or no silhouette file.
    """
    if not out.exists():
        return False
    check_same_harvest(out, SilhouetteFile(out).recipe, recipe, "remove it, or choose another name")
    return True


def _finish(out: Path, parts: Parts, wish: Wish, recipe: dict[str, Any]) -> list[tuple[str, str]]:
    failed: dict[str, str] = {}

    def silhouettes() -> Iterator[Silhouette]:
        for block in parts.blocks():
            failed.update(block.failed)
            yield from block.silhouettes

    collected = distinct(silhouettes(), wish.max_objects)
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
