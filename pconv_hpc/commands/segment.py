"""Find the objects in photos with an MMDetection network, and write masks of those to erase.

For every photo OUT gets, under the photo's relative path,
  instances/PHOTO.json   what was found: class, score, box and mask (COCO's run lengths)
  masks/PHOTO.png        white where to erase, if something was selected
  overlays/PHOTO.jpg     with --overlay: the photo with its instances numbered
pconv-hpc inpaint reads OUT/masks as it is. Finished photos are skipped. A different selection
reuses the instances found before, without running the network. A pack or a tar file is read in
place; pconv-hpc harvest --from-instances collects silhouettes from what was found in it.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.erasing.folder.stage_ledger import StageLedger
from pconv_hpc.erasing.settings import Resources
from pconv_hpc.erasing.stage_loop import follow
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import EXIT_DONE, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.options import cli
from pconv_hpc.options.from_settings import add_setting_options
from pconv_hpc.options.inputs import Inputs, inputs_of
from pconv_hpc.options.stage import add_stage_options, stage_settings
from pconv_hpc.photos.sources.named_photos import read_list
from pconv_hpc.photos.sources.passed_over import list_kinds
from pconv_hpc.photos.sources.photo_source import Photos
from pconv_hpc.segmentation.choices import Choices, ChoiceTable, read_choices
from pconv_hpc.segmentation.network_files import check_network
from pconv_hpc.segmentation.photo_places import PlacesList, find_photos, is_source
from pconv_hpc.segmentation.settings import SegmentSettings
from pconv_hpc.shards.packed_photos import open_photos

_EXAMPLES = """\
  # the weights of Mask R-CNN, once
  pconv-hpc fetch-weights mask_rcnn

  # what is in this photo? look at found/overlays/beach.jpg.jpg, then choose
  pconv-hpc segment beach.jpg found --overlay
  pconv-hpc segment beach.jpg found --number 3 --number 5
  pconv-hpc segment beach.jpg found --click 812,340

  # every person in a folder, and then erase them
  pconv-hpc segment photos found --classes person
  pconv-hpc inpaint photos found/masks erased --weights runs/imagenet_256

  # the largest car or truck of each photo, a generous mask
  pconv-hpc segment photos found --classes car,truck --largest --mask hull --dilate 25

  # each photo's own choice, from a table with the columns image, click, number, class, box
  pconv-hpc segment photos found --choices choices.csv

  # another network
  pconv-hpc segment photos found --config my_config.py --checkpoint my_weights.pth --all
"""
_SEVERAL = "pconv-hpc segment {} found/"


def main() -> int:
    """Parse, find the photos, segment them."""
    arguments = _parse()
    every = stage_settings(arguments)
    settings = every.segment
    general = settings.selection
    inputs = inputs_of(arguments.images, arguments.out, _SEVERAL)
    arguments.out = Path(arguments.out)
    images = inputs.images
    folder = images.parent if images.is_file() else images
    table = read_choices(settings.choices, general, folder) if settings.choices else None
    photos = _photos(arguments, inputs, table)
    if arguments.dry_run:
        for photo in photos:
            print(photo.photo)
        print(f"{len(photos)} photos", file=sys.stderr)
        return EXIT_DONE
    classes = (*settings.classes, *(table.classes if table else ()))
    check_network(settings.config, settings.checkpoint, classes)
    choices = Choices(general, table.per_image if table else None)
    return _segment(arguments, settings, every.resources, images, photos, choices)


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "images",
        nargs="+",
        help="photo, several photos, folder of photos, pack (its index.json or folder) or tar file",
    )
    parser.add_argument(
        "out", help="folder for the results; with several photos, there or ending in /"
    )
    add_setting_options(parser, SegmentSettings, stage="segment")
    add_setting_options(parser, Resources, stage="segment")
    add_stage_options(parser, dry_run="only list the photos")
    parser.add_argument(
        "--for-erasing",
        action="store_true",
        help="fail photos that could not be written back once they are erased, such as animations",
    )
    return parser.parse_intermixed_args()


def _photos(arguments: argparse.Namespace, inputs: Inputs, table: ChoiceTable | None) -> PlacesList:
    """Return the photos to work on; every photo of the table of choices must be there."""
    out, folder, listed = arguments.out, inputs.images, arguments.files_from
    if out.is_file():
        raise UsageError(f"{out}: is a file; expected a folder for the results")
    source: Photos | None = None
    images: Sequence[str]
    if listed or inputs.names:
        images = read_list(listed, folder) if listed else inputs.names or ()
        is_all_there = listed is None or listed.suffix != ".jsonl"  # of a folder's slice
        if table and is_all_there:
            table.require_on_disk(folder)
    elif is_source(folder):
        source = open_photos(folder, out, World({}), save_index=not arguments.dry_run)
        images = source.keys
        if table:
            table.require(images, folder)
    else:
        others = Counter[str]()
        folder, images = find_photos(inputs.images, out, others)
        if others:
            print(f"{folder}: left out: {list_kinds(others)}", file=sys.stderr)
        if table and inputs.images.is_file():  # the table may be one for the whole folder
            table.require_on_disk(folder)
        elif table:
            table.require(images, folder)
    return PlacesList(folder, images, out, source)


def _segment(
    arguments: argparse.Namespace,
    settings: SegmentSettings,
    resources: Resources,
    images: Path,
    photos: PlacesList,
    choices: Choices,
) -> int:
    from pconv_hpc.segmentation.batches import Result, Wish, segment_all
    from pconv_hpc.segmentation.segmenter import (  # slow to import: PyTorch
        DEFAULT_MIN_SCORE,
        Segmenter,
    )

    num_selected = 0
    with (
        StopRequest() as stop,
        StageLedger(arguments.ledger, "segment", images) as ledger,
    ):
        segmenter = Segmenter(
            settings.config,
            settings.checkpoint,
            resources.device,
            min_score=min(DEFAULT_MIN_SCORE, settings.min_score),
            batch_size=resources.segment_batch_size,
            precision=settings.segment_precision,
        )
        wish = Wish(
            choices=choices.checked(segmenter.classes),
            shape=settings.mask,
            dilation=settings.dilate,
            with_overlay=settings.overlay,
            overwrite=arguments.overwrite,
            max_pixels=resources.max_pixels,
            for_erasing=arguments.for_erasing,
        )
        if settings.selects:  # also where nothing is: pconv-hpc inpaint then finds nothing to erase
            with writing_results(arguments.out):
                (arguments.out / "masks").mkdir(parents=True, exist_ok=True)

        def note(result: Result) -> None:
            nonlocal num_selected
            num_selected += result.num_selected > 0
            if result.status == "failed":
                ledger.failed(result.image, result.reason)
            else:
                ledger.found(result.image, result.classes)

        results = segment_all(
            photos,
            segmenter,
            wish,
            num_threads=resources.threads,
            should_stop=lambda: stop.is_set,
            on_begin=ledger.begin,
        )
        exit_code = follow(results, len(photos), stop, note)
    if settings.selects:
        print(f"something was selected in {num_selected} photos: {arguments.out / 'masks'}")
    else:
        print("no selection was given, so no masks were written; see --help")
    return exit_code


if __name__ == "__main__":
    cli.run(main)
