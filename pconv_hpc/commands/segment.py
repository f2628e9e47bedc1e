"""Find the objects in photos with an MMDetection network, and write masks of those to erase.

For every photo OUT gets, under the photo's relative path,
  instances/PHOTO.json   what was found: class, score, box and mask (COCO's run lengths)
  masks/PHOTO.png        white where to erase, if something was selected
  overlays/PHOTO.jpg     with --overlay: the photo with its instances numbered
pconv-hpc inpaint reads OUT/masks as it is. Finished photos are skipped. A different selection
reuses the instances found before, without running the network.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.erasing.folder.stage_ledger import StageLedger
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.options import cli
from pconv_hpc.options.files import (
    add_list_and_ledger_options,
    add_max_pixels_option,
    add_threads_option,
)
from pconv_hpc.options.segment import (
    add_mask_options,
    add_network_options,
    add_selection_options,
    selection_of,
)
from pconv_hpc.segmentation.choices import Choices, read_choices, refuse_unknown
from pconv_hpc.segmentation.photo_places import Places, find_photos, places, read_list

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


def main() -> int:
    """Parse, find the photos, segment them."""
    arguments = _parse()
    general = selection_of(arguments)
    per_image = read_choices(arguments.choices, general) if arguments.choices else {}
    photos = _photos(arguments, set(per_image))
    if arguments.dry_run:
        for photo in photos:
            print(photo.photo)
        print(f"{len(photos)} photos", file=sys.stderr)
        return EXIT_DONE
    return _segment(arguments, photos, Choices(general, per_image))


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("images", type=Path, help="photo, or folder of photos")
    parser.add_argument("out", type=Path, help="folder for the results")

    add_network_options(parser)
    add_selection_options(parser)
    add_mask_options(parser)
    work = parser.add_argument_group("work")
    add_list_and_ledger_options(work)
    add_threads_option(work, "threads that read and write files")
    add_max_pixels_option(work)
    work.add_argument("--overwrite", action="store_true", help="replace existing results")
    work.add_argument("--dry-run", action="store_true", help="only list the photos")
    return parser.parse_args()


def _photos(arguments: argparse.Namespace, chosen: set[str]) -> list[Places]:
    """Return the photos to work on; every photo of the table of choices must be there."""
    if arguments.out.is_file():
        raise UsageError(f"{arguments.out}: is a file; expected a folder for the results")
    if arguments.files_from:
        folder, images = arguments.images, read_list(arguments.files_from, arguments.images)
    else:
        folder, images = find_photos(arguments.images, arguments.out)
        unknown = chosen - set(images)
        if arguments.images.is_file():  # the table may be one for the whole folder
            unknown = {image for image in unknown if not (folder / image).is_file()}
        refuse_unknown(arguments.choices, unknown, folder)
    return [places(folder, image, arguments.out) for image in images]


def _segment(arguments: argparse.Namespace, photos: list[Places], choices: Choices) -> int:
    from pconv_hpc.segmentation.batches import Wish, segment_all
    from pconv_hpc.segmentation.segmenter import (  # slow to import: PyTorch
        DEFAULT_MIN_SCORE,
        Segmenter,
    )

    counts = Counter[str]()
    num_selected = 0
    with (
        StopRequest() as stop,
        StageLedger(arguments.ledger, "segment", arguments.images) as ledger,
    ):
        segmenter = Segmenter(
            arguments.config,
            arguments.checkpoint,
            arguments.device,
            min_score=min(DEFAULT_MIN_SCORE, arguments.min_score),
            batch_size=arguments.batch_size,
        )
        wish = Wish(
            choices=choices.checked(segmenter.classes),
            shape=arguments.mask,
            dilation=arguments.dilate,
            with_overlay=arguments.overlay,
            overwrite=arguments.overwrite,
            max_pixels=arguments.max_pixels,
        )
        with tqdm(total=len(photos), unit="photo") as bar:
            for result in segment_all(
                photos,
                segmenter,
                wish,
                num_threads=arguments.threads,
                should_stop=lambda: stop.is_set,
                on_begin=ledger.begin,
            ):
                counts[result.status] += 1
                num_selected += result.num_selected > 0
                bar.update()
                if result.status != "failed":
                    ledger.found(result.image, result.classes)
                else:
                    ledger.failed(result.image, result.reason)
                    bar.write(f"failed: {result.reason}", file=sys.stderr)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    if choices.per_image or not choices.general.is_empty:
        print(f"something was selected in {num_selected} photos: {arguments.out / 'masks'}")
    else:
        print("nothing was to be selected, so no masks; --help tells how")
    unfinished = len(photos) - counts.total()
    if unfinished:
        print(
            f"stopped by {stop.signal_name} with {unfinished} photos to go; run the same command "
            "again to continue",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return EXIT_FAILED if counts["failed"] else EXIT_DONE


if __name__ == "__main__":
    cli.run(main)
