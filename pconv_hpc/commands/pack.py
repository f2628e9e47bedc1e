"""Pack photos into HDF5 shards that training reads without decoding.

SOURCE is a folder tree of images, or one tar file: ImageNet's ILSVRC2012_img_train.tar (a tar of a
thousand tars) and ILSVRC2012_img_val.tar are read in place, without unpacking.

Every photo is turned upright, converted to 8-bit RGB, scaled so that its short side is --size, and
cropped to the centred square. The order is a seeded permutation of all photos, so that reading a
shard in sequence mixes the classes. OUT receives the shards, index.json (written last; training
and pconv-hpc inspect read it), rejected.csv (photos that could not be read, and why) and pack.json
(settings to compare when the pack is continued).

One process is enough; mpirun or srun with mpi4py share the work among ranks that write whole
shards, and the result is identical, byte for byte. Repeating the command continues a pack that was
interrupted or killed, with any number of ranks: finished shards are checked and kept. While a pack
is running, OUT is locked and a second start is refused.
"""

import contextlib
import math
import sys
from pathlib import Path

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.foundation.disk_space import require_free_space, writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.options import cli
from pconv_hpc.photos.sources.open_source import open_source
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.shards.pack import REJECTED_NAME, complete_index, pack
from pconv_hpc.shards.pack_plan import PackOptions, PackPlan, plan_pack
from pconv_hpc.shards.shard_packer import seconds_per_photo

_EXAMPLES = """\
  # a folder of photos, on this machine
  pconv-hpc pack photos packed/train --split train --size 256

  # ImageNet, straight from its tar files, on 48 ranks
  srun --ntasks=48 pconv-hpc pack ILSVRC2012_img_train.tar packed/train --split train
  mpirun -np 8 pconv-hpc pack ILSVRC2012_img_val.tar packed/val --split val

  # a tenth of it; a larger --fraction with the same --seed contains the same tenth
  pconv-hpc pack ILSVRC2012_img_train.tar packed/tenth --split train --fraction 0.1

  # how many photos, bytes, shards and minutes would that take?
  pconv-hpc pack ILSVRC2012_img_train.tar packed/train --split train --dry-run

exit codes: 0 done, 1 failed, 2 bad input, 75 interrupted (run the same command again)
"""


def main() -> None:
    """Parse, list the photos, plan, pack."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("source", type=Path, help="folder tree of images, or a tar file")
    parser.add_argument("out", type=Path, help="folder for the shards; one per split")
    parser.add_argument(
        "--split", choices=("train", "val"), required=True, help="recorded in the pack"
    )
    parser.add_argument("--size", type=int, default=320, help="side of the packed squares, pixels")
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the photos to pack")
    parser.add_argument(
        "--images-per-shard",
        type=int,
        help="photos per shard (default: 1 GiB of them, 3,488 at 320 pixels, or for small packs a "
        "sixteenth of all, so that ranks can share the work, in multiples of 32). A rank holds one "
        "shard in memory, and loses at most one shard when it is interrupted",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the photos' order")
    parser.add_argument(
        "--max-rejected",
        type=float,
        default=0.01,
        help="share of the photos that may be unreadable before the pack fails",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only show what would be done; write nothing"
    )
    arguments = parser.parse_args()
    if not 0 <= arguments.max_rejected <= 1:
        raise UsageError(f"--max-rejected {arguments.max_rejected}: expected a share from 0 to 1")
    options = PackOptions(
        split=arguments.split,
        image_size=arguments.size,
        fraction=arguments.fraction,
        images_per_shard=arguments.images_per_shard,
        seed=arguments.seed,
    )
    world = World()
    with world.ending_together(), StopRequest() as stop, contextlib.ExitStack() as stack:
        source = open_source(
            arguments.source,
            arguments.out,
            world,
            save_index=not arguments.dry_run,
            should_stop=lambda: stop.is_set,
        )
        plan: PackPlan = world.broadcast(
            plan_pack(source, options, source_path=arguments.source) if world.is_first else None
        )
        if world.is_first:
            _describe(source, plan, arguments.out, world.size)
        if arguments.dry_run:
            if world.is_first:
                _estimate(source, plan, arguments.out, world.size)
            world.barrier()
            return
        if world.is_first and not complete_index(plan, arguments.out, arguments.max_rejected):
            with writing(arguments.out):
                stack.enter_context(FolderLock(arguments.out))
        world.barrier()  # nobody begins before the folder is ours
        result = pack(
            source,
            plan,
            arguments.out,
            max_rejected=arguments.max_rejected,
            world=world,
            should_stop=lambda: stop.is_set,
        )
        if world.is_first:
            index = result.index
            kept = f" ({result.num_kept} were there already)" if result.num_kept else ""
            print(f"packed {index.num_images:,} photos in {len(index.shards)} shards{kept}")
            if index.num_rejected:
                print(f"rejected {index.num_rejected:,}: see {arguments.out / REJECTED_NAME}")
            print(f"fingerprint {index.fingerprint}")
            print(arguments.out / "index.json")


def _describe(source: PhotoSource, plan: PackPlan, out: Path, num_ranks: int) -> None:
    print(f"{source.name}: {len(source.keys):,} photos")
    shard_bytes = plan.images_per_shard * plan.image_bytes
    print(
        f"packing {len(plan.photos):,} of them at {plan.options.image_size} x "
        f"{plan.options.image_size} pixels into {out}: {plan.num_shards:,} shards of "
        f"{plan.images_per_shard:,} images, {len(plan.photos) * plan.image_bytes / 1e9:.2f} GB\n"
        f"{num_ranks} rank(s), {shard_bytes / 1e9:.2f} GB of memory each",
        flush=True,
    )
    if num_ranks > plan.num_shards:
        print(
            f"{num_ranks - plan.num_shards} rank(s) have nothing to do: use fewer, or a smaller "
            "--images-per-shard",
            file=sys.stderr,
        )


def _estimate(source: PhotoSource, plan: PackPlan, out: Path, num_ranks: int) -> None:
    per_photo = seconds_per_photo(source, plan)
    busiest = math.ceil(plan.num_shards / num_ranks) * plan.images_per_shard
    minutes = per_photo * min(busiest, len(plan.photos)) / 60
    print(
        f"decoding takes {per_photo * 1000:.1f} ms a photo here: about {minutes:,.1f} minutes with "
        f"{num_ranks} rank(s) on cores and a disk like these"
    )
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    require_free_space(existing, len(plan.photos) * plan.image_bytes)
    print("nothing was written (--dry-run)")


if __name__ == "__main__":
    cli.run(main)
