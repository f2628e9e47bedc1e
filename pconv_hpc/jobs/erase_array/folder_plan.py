"""A folder of photos from what a person typed to slices, and who works on them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.erasing.folder.manifest import (
    Manifest,
    build_manifest,
    require_own_folder,
    require_same,
)
from pconv_hpc.erasing.folder.photo_listing import list_work
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.jobs.erase_array.array_jobs import DEFAULT_MAX_ARRAY_TASKS, compact_indices
from pconv_hpc.photos.sources.passed_over import list_kinds

# A task pays half a minute of imports and a place in the queue: not for a handful of photos.
_PHOTOS_PER_TASK = 2000


def default_num_tasks(num_photos: int) -> int:
    """Return how many slices so many photos are cut into."""
    return max(1, min(DEFAULT_MAX_ARRAY_TASKS, math.ceil(num_photos / _PHOTOS_PER_TASK)))


@dataclass(frozen=True, kw_only=True)
class FolderPlan:
    """The work on a folder before anything of it is written.

    Attributes:
        images: the folder of the photos or of tar files, or a tar file; absolute.
        out: the folder of the results, absolute.
        num_photos: how many there are.
        num_slices: how many slices they are cut into.
        settings: what is done to each.
        to_do: the slices that are to be worked on now.
        num_asked: how many slices were asked for, if that is more than can be.
        passed_over: how many files are no photos, by kind; nothing for a folder listed before.
    """

    images: Path
    out: Path
    num_photos: int
    num_slices: int
    settings: EraseSettings
    to_do: Sequence[int]
    num_asked: int | None = None
    passed_over: Counter[str] = field(default_factory=Counter)

    def build(self) -> Manifest:
        """Write the manifest, or record in the one that is there what may change in it.

        Raises:
            UsageError: the one that is there is one of other work.
        """
        return build_manifest(
            self.images, self.out, num_slices=self.num_slices, settings=self.settings
        )

    def describe(self, command: str) -> str:
        """Return the lines a person wants to read before it begins."""
        settings = self.settings
        each = math.ceil(self.num_photos / self.num_slices)
        capped = f" ({self.num_asked:,} cannot be filled)" if self.num_asked else ""
        lines = [
            f"photos      {self.num_photos:,} in {self.images}",
            *([f"left out    {list_kinds(self.passed_over)}"] if self.passed_over else []),
            f"results     {self.out}",
            f"slices      {self.num_slices}, about {each:,} photos each{capped}",
            f"to do       {compact_indices(self.to_do) or _NOTHING}",
            *(f"{name:<12}{value}" for name, value in settings.summary.items()),
            f"the others  {_EMPTY[settings.empty]}",
            f"command     {command}",
        ]
        return "\n".join(lines)


_NOTHING = "nothing: every slice is finished, at work or in the queue"
_EMPTY = {
    "copy": "photos with nothing to erase are copied",
    "skip": "photos with nothing to erase are left out",
}


def plan_new(images: Path, out: Path, settings: EraseSettings, num_tasks: int | None) -> FolderPlan:
    """Return the plan for a folder of which nothing was done yet.

    Args:
        images: the folder of the photos.
        out: the folder of the results.
        settings: what is done to each photo.
        num_tasks: how many slices are wanted; there are no more than photos, or than tar files.
            ``None``: by the number of photos.

    Raises:
        UsageError: there are no photos, the table of choices names others, or ``out`` cannot be
            used.
    """
    images, out = images.absolute(), out.absolute()
    require_own_folder(out, images)
    others = Counter[str]()
    num_photos, tars = 0, set[str]()
    for row in list_work(images, out, settings.segment.choices, others):
        num_photos += 1
        if row.tar is not None:
            tars.add(row.tar)
    num_slices = min(num_tasks or default_num_tasks(num_photos), len(tars) or num_photos)
    return FolderPlan(
        images=images,
        out=out,
        num_photos=num_photos,
        num_slices=num_slices,
        settings=settings,
        to_do=range(num_slices),
        num_asked=num_tasks if num_tasks and num_tasks > num_slices else None,
        passed_over=others,
    )


def plan_rest(
    manifest: Manifest,
    images: Path,
    settings: EraseSettings,
    num_tasks: int | None,
    to_do: Sequence[int],
) -> FolderPlan:
    """Return the plan for a folder that was begun.

    Args:
        manifest: of the folder.
        images: the folder of the photos.
        settings: what is done to each photo.
        num_tasks: ``None``: as many as there are.
        to_do: the slices that are unfinished, and nobody's.

    Raises:
        UsageError: other work was begun there.
    """
    images, num_slices = images.absolute(), num_tasks or manifest.num_slices
    if num_slices > manifest.num_slices:
        num_slices = min(num_slices, manifest.num_units)
    require_same(manifest, images, num_slices, settings)
    return FolderPlan(
        images=images,
        out=manifest.out,
        num_photos=manifest.num_photos,
        num_slices=num_slices,
        settings=settings,
        to_do=to_do,
    )
