"""Collect the silhouettes of real objects from photos, to draw masks in the shape of objects.

PHOTOS is a pack (its index.json or folder), a folder tree of photos, or a tar file. An MMDetection
network finds the objects; those with a high score, neither tiny nor huge, and not cut off by the
photo's edge go into OUT, one HDF5 file with the class, score, size and outline of each. pconv-hpc
make-masks and masks.objects_from in a configuration read it.

One process is enough; mpirun or srun with mpi4py share the work among ranks, with the same result.
Repeating the command continues a harvest that was interrupted or killed: what was found so far is
kept in OUT.parts.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.settings import Resources
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import local_position
from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.harvest.collect import HarvestSettings, choose_photos, harvest
from pconv_hpc.harvest.from_instances import find_instances, harvest_instances
from pconv_hpc.harvest.outlines import Criteria
from pconv_hpc.harvest.parts import Parts, num_lines
from pconv_hpc.harvest.photo_blocks import num_blocks
from pconv_hpc.masks.silhouette_file import SilhouetteFile
from pconv_hpc.masks.silhouette_report import TILE_SIZE, class_table, silhouette_tiles
from pconv_hpc.options import cli
from pconv_hpc.options.from_settings import add_setting_options, settings_of
from pconv_hpc.photos.contact_sheet import save_contact_sheet
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.segmentation.network_files import check_network
from pconv_hpc.segmentation.settings import DetectorSettings
from pconv_hpc.shards.packed_photos import open_photos

_EXAMPLES = """\
  # the weights of Mask R-CNN, once
  pconv-hpc fetch-weights mask_rcnn

  # up to 20,000 silhouettes from 30,000 photos of a pack, and a picture of some
  pconv-hpc harvest packed/train/index.json masks/objects.h5 --max-photos 30000 \\
      --contact-sheet masks/objects.png

  # only people and cars, on 4 ranks with a GPU each
  srun --ntasks=4 --gpus-per-task=1 pconv-hpc harvest photos masks/traffic.h5 \\
      --classes person,car

  # from what pconv-hpc segment found earlier, without the network
  pconv-hpc harvest found/instances masks/found.h5 --from-instances

  # then train on them
  pconv-hpc make-masks masks/bank.h5 --style objects --objects-from masks/objects.h5

exit codes: 0 done, 1 failed, 2 bad input, 75 interrupted (run the same command again)
"""
_SHOWN = 3  # of the photos that cannot be read


def main() -> None:
    """Parse, harvest on all ranks, report on the first."""
    arguments = _parse()
    if arguments.out.is_dir():
        raise UsageError(f"{arguments.out}: is a folder; expected the name of a file")
    settings = HarvestSettings(
        criteria=Criteria(
            classes=tuple(name.strip() for name in arguments.classes.split(",") if name.strip()),
            min_score=arguments.min_score,
            min_area=arguments.min_area,
            max_area=arguments.max_area,
            keep_cut_off=arguments.keep_cut_off,
        ),
        max_objects=arguments.max_objects,
        max_photos=arguments.max_photos,
    )
    world = World()
    with world.ending_together(), StopRequest() as stop:
        if arguments.dry_run:
            _describe(arguments, settings, world)
            return
        if not arguments.from_instances:
            _harvest(arguments, settings, world, stop)
        elif world.is_first:
            harvest_instances(
                arguments.photos, settings, arguments.out, should_stop=lambda: stop.is_set
            )
        if world.is_first:
            _report(arguments.out, arguments.contact_sheet)


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("photos", type=Path, help="pack, folder of photos, or tar file")
    parser.add_argument("out", type=Path, help="silhouette file to write, HDF5")

    objects = parser.add_argument_group("which objects")
    objects.add_argument(
        "--classes", default="", metavar="A,B", help="only these, as person,car (default: all)"
    )
    objects.add_argument("--min-score", type=float, default=0.7, help="minimum score, 0 to 1")
    objects.add_argument("--min-area", type=float, default=0.003, help="minimum share of the photo")
    objects.add_argument("--max-area", type=float, default=0.5, help="maximum share of the photo")
    objects.add_argument(
        "--keep-cut-off", action="store_true", help="include those cut off by the photo's edge"
    )
    objects.add_argument(
        "--max-objects",
        type=cli.positive_int,
        default=20_000,
        help="if more are found, a random sample is kept",
    )

    add_setting_options(parser, DetectorSettings, stage="segment")
    add_setting_options(parser, Resources, stage="segment")

    work = parser.add_argument_group("work")
    work.add_argument(
        "--max-photos",
        type=cli.positive_int,
        help="look at a random sample of this many photos (default: all)",
    )
    work.add_argument(
        "--from-instances",
        action="store_true",
        help="PHOTOS is the folder OUT/instances of pconv-hpc segment; no network runs",
    )
    work.add_argument("--contact-sheet", type=Path, metavar="PNG", help="also draw some of them")
    work.add_argument("--dry-run", action="store_true", help="only show what would be done")
    arguments = parser.parse_args()
    arguments.network = settings_of(arguments, DetectorSettings())
    arguments.resources = settings_of(arguments, Resources())
    return arguments


def _open(arguments: argparse.Namespace, world: World, stop: StopRequest | None = None) -> Photos:
    return open_photos(
        arguments.photos,
        Parts(arguments.out).folder,
        world,
        save_index=stop is not None,
        should_stop=lambda: stop is not None and stop.is_set,
    )


def _describe(arguments: argparse.Namespace, settings: HarvestSettings, world: World) -> None:
    if arguments.from_instances:
        found = f"{len(find_instances(arguments.photos, settings)):,} photos' instances"
    else:
        photos = _open(arguments, world)
        chosen = len(choose_photos(len(photos.keys), settings.max_photos))
        done = num_lines(Parts(arguments.out).folder)
        found = (
            f"{chosen:,} of {len(photos.keys):,} photos, in {num_blocks(chosen):,} blocks of "
            f"which {done:,} are done,"
        )
    if world.is_first:
        if arguments.out.exists():
            print(f"{arguments.out} already exists: kept if it is of this harvest, else refused")
        print(f"would look at {found} for {arguments.out}: nothing was written (--dry-run)")
    world.barrier()


def _harvest(
    arguments: argparse.Namespace, settings: HarvestSettings, world: World, stop: StopRequest
) -> None:
    parts = Parts(arguments.out)
    try:
        with contextlib.ExitStack() as stack:
            if world.is_first:
                with writing(parts.folder):
                    stack.enter_context(FolderLock(parts.folder))
            failed = _find(arguments, settings, world, stop)
    finally:
        if world.is_first:
            parts.remove_folder()
    for photo, reason in failed[:_SHOWN]:
        print(f"left out {photo}: {reason}", file=sys.stderr)
    if failed[_SHOWN:]:
        print(f"left out {len(failed) - _SHOWN:,} more that cannot be read", file=sys.stderr)


def _find(
    arguments: argparse.Namespace, settings: HarvestSettings, world: World, stop: StopRequest
) -> list[tuple[str, str]]:
    photos, network = _open(arguments, world, stop), arguments.network
    check_network(network.config, network.checkpoint, settings.criteria.classes)

    from pconv_hpc.segmentation.segmenter import (  # slow to import: PyTorch
        Segmenter,
        device_of_rank,
    )

    local_rank, _ = local_position(os.environ, world.rank, world.size)
    segmenter = Segmenter(
        network.config,
        network.checkpoint,
        arguments.resources.device or device_of_rank(local_rank),
        min_score=settings.criteria.min_score,
        batch_size=arguments.resources.segment_batch_size,
        precision=arguments.network.segment_precision,
    )
    return harvest(
        photos,
        segmenter,
        settings,
        arguments.out,
        world=world,
        num_threads=arguments.resources.threads,
        max_pixels=arguments.resources.max_pixels,
        should_stop=lambda: stop.is_set,
    )


def _report(out: Path, contact_sheet: Path | None) -> None:
    file = SilhouetteFile(out)
    file.verify()
    print(class_table(file))
    print(f"{out}: {file.num_silhouettes:,} silhouettes")
    if contact_sheet is not None:
        save_contact_sheet(contact_sheet, silhouette_tiles(file), tile_size=TILE_SIZE)
        print(f"{contact_sheet}: some of them, class by class")


if __name__ == "__main__":
    cli.run(main)
