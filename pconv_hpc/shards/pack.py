"""Packing photos into shards: by any number of ranks, interrupted and continued, always the same.

Every rank writes whole shards, each under a temporary name until it is complete, so the folder
holds nothing half done. A pack that is started again checks the shards that are there and makes
the others. ``index.json`` is written last: a folder that has it is complete.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.disk_space import require_free_space, writing
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.json_files import read_json
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.shards.pack_plan import PackPlan
from pconv_hpc.shards.shard_file import ShardReader
from pconv_hpc.shards.shard_index import (
    INDEX_NAME,
    ShardIndex,
    fingerprint_of,
    read_index,
    write_index,
)
from pconv_hpc.shards.shard_packer import FinishedShard, ShardPacker, num_allowed_rejections

PLAN_NAME = "pack.json"
REJECTED_NAME = "rejected.csv"


@dataclass(frozen=True)
class PackResult:
    """What a call of ``pack`` did."""

    index: ShardIndex
    num_kept: int  # shards that an earlier call had finished


def never_stop() -> bool:
    """Say no whenever asked whether to stop."""
    return False


def pack(
    source: PhotoSource,
    plan: PackPlan,
    out_dir: Path,
    *,
    max_rejected: float = 0.01,
    world: World,
    should_stop: Callable[[], bool] = never_stop,
) -> PackResult:
    """Make every shard of ``plan`` in ``out_dir`` that is not there yet, then the index.

    All ranks call this together and return the same.

    Args:
        max_rejected: share of the photos that may be unreadable.
        should_stop: asked between two photos.

    Raises:
        UsageError: ``out_dir`` holds another pack.
        PconvError: too many photos are unreadable, the disk is full, or reading fails.
        Interrupted: ``should_stop`` said so; the same call continues.
    """
    out_dir = Path(out_dir)
    index = world.broadcast(complete_index(plan, out_dir, max_rejected) if world.is_first else None)
    if index is not None:
        return PackResult(index, num_kept=plan.num_shards)
    present = world.broadcast(_prepare(plan, out_dir) if world.is_first else None)
    known = world.broadcast(_known_checksums(out_dir) if world.is_first else None)
    missing = sorted(set(range(plan.num_shards)) - set(present))
    packer = ShardPacker(
        source,
        plan,
        out_dir,
        max_rejected=max_rejected,
        should_stop=should_stop,
        show=world.is_first,
    )
    kept, damaged = packer.check(present[world.rank :: world.size], known)
    made = packer.make(damaged + missing[world.rank :: world.size])
    gathered = world.gather((kept, made))
    result = None
    if gathered is not None:
        shards = [shard for parts in gathered for part in parts for shard in part]
        index = _finish(plan, out_dir, shards, max_rejected)
        result = PackResult(index, sum(len(kept) for kept, _ in gathered))
    finished: PackResult = world.broadcast(result)
    return finished


def complete_index(plan: PackPlan, out_dir: Path, max_rejected: float) -> ShardIndex | None:
    """Return the index of this very pack if it is there with every shard, by their sizes."""
    if not (out_dir / PLAN_NAME).exists():
        return None
    _require_same_pack(plan, out_dir / PLAN_NAME)
    with contextlib.suppress(UsageError), ShardReader(out_dir) as reader:
        if reader.index.num_rejected <= num_allowed_rejections(plan, max_rejected):
            return reader.index
    return None


def _prepare(plan: PackPlan, out_dir: Path) -> list[int]:
    """Make ``out_dir`` ready and return the numbers of the shards that are already there."""
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
    plan_path = out_dir / PLAN_NAME
    if plan_path.exists():
        _require_same_pack(plan, plan_path)
    elif others := sorted(path.name for path in out_dir.glob("*-of-*.h5")):
        raise UsageError(f"{out_dir}: holds {others[0]} but no {PLAN_NAME}; choose another folder")
    for leftover in out_dir.glob(".*.tmp"):  # of a pack that was killed
        leftover.unlink(missing_ok=True)
    numbers = range(plan.num_shards)
    present = [number for number in numbers if (out_dir / plan.shard_name(number)).is_file()]
    missing = len(plan.photos) - sum(len(plan.shard_photos(number)) for number in present)
    require_free_space(out_dir, missing * plan.image_bytes)
    with writing(plan_path):
        atomic.write_json(plan_path, plan.identity())
    return present


def _require_same_pack(plan: PackPlan, plan_path: Path) -> None:
    found = read_json(
        plan_path, dict[str, Any], kind="the plan of a pack", advice="choose another folder"
    )
    for name, value in plan.identity().items():
        other = found.get(name)
        if other != value:
            raise UsageError(
                f"{plan_path.parent}: holds another pack, whose {name} is {other!r} and not "
                f"{value!r}; choose another folder, or delete this one"
            )


def _known_checksums(out_dir: Path) -> dict[str, str]:
    """Return file names and SHA-256 of a pack that was once complete."""
    with contextlib.suppress(UsageError):
        return {shard.file: shard.sha256 for shard in read_index(out_dir / INDEX_NAME).shards}
    return {}


def _finish(
    plan: PackPlan, out_dir: Path, shards: list[FinishedShard], max_rejected: float
) -> ShardIndex:
    """Write ``rejected.csv``, then ``index.json`` if not too many photos were rejected."""
    shards = sorted(shards, key=lambda shard: shard.number)
    rejected = sorted(row for shard in shards for row in shard.rejected)
    rejected_path = out_dir / REJECTED_NAME
    with writing(rejected_path):
        atomic.write_csv(rejected_path, ("key", "reason"), rejected)
    num_photos = len(plan.photos)
    if len(rejected) > num_allowed_rejections(plan, max_rejected) or len(rejected) == num_photos:
        key, reason = rejected[0]
        raise PconvError(
            f"{len(rejected)} of {num_photos} photos could not be read, more than --max-rejected "
            f"{max_rejected:g} allows. {rejected_path} lists them; the first is {key}: {reason}. "
            "To leave them out, run again with a larger --max-rejected: finished shards are "
            "kept. To repair them, pack the repaired photos into another folder"
        )
    entries = tuple(shard.entry for shard in shards)
    index = ShardIndex(
        split=plan.options.split,
        image_size=plan.options.image_size,
        seed=plan.options.seed,
        fraction=plan.options.fraction,
        num_images=sum(entry.num_images for entry in entries),
        num_rejected=len(rejected),
        source_fingerprint=plan.source_fingerprint,
        command=plan.command,
        shards=entries,
        fingerprint=fingerprint_of(entries),
    )
    with writing(out_dir / INDEX_NAME):
        write_index(out_dir, index)
    return index
