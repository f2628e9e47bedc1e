#!/usr/bin/env python
"""Find the objects in photos with a network of MMDetection, and write masks of those to erase.

For every photo OUT gets
  instances/PHOTO.json   what was found: class, score, box and mask (COCO's run lengths)
  masks/PHOTO.png        white where to erase, if something was selected
  overlays/PHOTO.jpg     the photo with numbered instances, with --overlay
under the photo's relative path; tools/inpaint.py takes OUT/masks as it is. Photos that are finished
are skipped. Another selection uses what was found before, without the network.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from pconv_hpc import cli
from pconv_hpc.data.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.erasing.choices import (
    Choices,
    parse_box,
    parse_number,
    parse_point,
    read_choices,
)
from pconv_hpc.erasing.mask_shaping import MASK_SHAPES
from pconv_hpc.erasing.segment_files import Places, find_photos, places, read_list
from pconv_hpc.erasing.select import Selection
from pconv_hpc.erasing.stage_ledger import StageLedger
from pconv_hpc.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError
from pconv_hpc.stop_request import StopRequest

_EXAMPLES = """\
  # the weights of Mask R-CNN, once
  python tools/fetch_weights.py mask_rcnn

  # what is in this photo? look at found/overlays/beach.jpg.jpg, then choose
  python tools/segment.py beach.jpg found --overlay
  python tools/segment.py beach.jpg found --number 3 --number 5
  python tools/segment.py beach.jpg found --click 812,340

  # everybody in a folder, and then erase them
  python tools/segment.py photos found --classes person
  python tools/inpaint.py photos found/masks erased --weights runs/imagenet_256

  # the largest car or truck of each photo, a generous mask
  python tools/segment.py photos found --classes car,truck --largest --mask hull --dilate 25

  # each photo's own choice, from a table with the columns image, click, number, class, box
  python tools/segment.py photos found --choices choices.csv

  # another network
  python tools/segment.py photos found --config my_config.py --checkpoint my_weights.pth --all
"""
_SHOWN = 5  # names of a long list


def main() -> int:
    """Parse, find the photos, segment them."""
    arguments = _parse()
    general = Selection(
        clicks=tuple(arguments.click),
        numbers=tuple(arguments.number),
        classes=tuple(name.strip() for name in arguments.classes.split(",") if name.strip()),
        box=arguments.box,
        largest=arguments.largest,
        every=arguments.all,
        min_score=arguments.min_score,
        tolerance=arguments.tolerance,
    )
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

    network = parser.add_argument_group("network")
    network.add_argument(
        "--config",
        help="configuration of MMDetection: a file, or the name of one it ships; a configuration "
        "is Python code that is run (default: Mask R-CNN R50-FPN on COCO)",
    )
    network.add_argument("--checkpoint", type=Path, help="its weights, .pth; no code in it is run")
    network.add_argument("--device", help="cpu, cuda or cuda:1 (default: the GPU if there is one)")
    network.add_argument(
        "--batch-size",
        type=cli.positive_int,
        help="photos the network is given at once (default: 8 on a GPU, 1 without)",
    )

    choice = parser.add_argument_group("what to select (several of these narrow it down)")
    choice.add_argument(
        "--click",
        type=parse_point,
        action="append",
        default=[],
        metavar="X,Y",
        help="the object at this pixel; may be given many times",
    )
    choice.add_argument(
        "--number",
        type=parse_number,
        action="append",
        default=[],
        metavar="N",
        help="the object with this number in the overlay; may be given many times",
    )
    choice.add_argument(
        "--classes", default="", metavar="A,B", help="objects of these classes, as person,car"
    )
    choice.add_argument(
        "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="objects at least half inside"
    )
    choice.add_argument(
        "--largest",
        type=cli.positive_int,
        nargs="?",
        const=1,
        metavar="N",
        help="the N largest of them (1 if no number is given)",
    )
    choice.add_argument("--all", action="store_true", help="all objects")
    choice.add_argument(
        "--min-score", type=_score, default=0.5, help="only objects this certain, 0 to 1"
    )
    choice.add_argument(
        "--tolerance",
        type=float,
        metavar="PX",
        help="how far a click may miss an object (default: 2%% of the longer side)",
    )
    choice.add_argument(
        "--choices", type=Path, metavar="CSV", help="table of what to select in which photo"
    )

    shaping = parser.add_argument_group("masks")
    shaping.add_argument(
        "--mask",
        choices=MASK_SHAPES,
        default="dilate",
        help="exact: as found; dilate: grown; box, hull: grown rectangle or convex hull",
    )
    shaping.add_argument(
        "--dilate",
        type=_pixels,
        metavar="PX",
        help="by how much masks are grown (default: 5%% of the object's size, at least 3)",
    )
    shaping.add_argument("--overlay", action="store_true", help="draw pictures to choose from")

    work = parser.add_argument_group("work")
    work.add_argument(
        "--files-from",
        type=Path,
        metavar="FILE",
        help="only these photos: relative paths by line, or .jsonl rows with a photo each",
    )
    work.add_argument(
        "--ledger", type=Path, metavar="FILE", help="append what becomes of each photo, as JSON"
    )
    work.add_argument(
        "--threads", type=cli.positive_int, default=4, help="threads that read and write files"
    )
    work.add_argument(
        "--max-pixels",
        type=cli.positive_int,
        default=DEFAULT_MAX_PIXELS,
        help="larger photos are refused before they are decoded",
    )
    work.add_argument("--overwrite", action="store_true", help="make existing results again")
    work.add_argument("--dry-run", action="store_true", help="only list the photos")
    return parser.parse_args()


def _score(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _pixels(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is less than 0")
    return value


def _photos(arguments: argparse.Namespace, chosen: set[str]) -> list[Places]:
    """Return the photos to work on; every photo of the table of choices must be there."""
    if arguments.out.is_file():
        raise UsageError(f"{arguments.out}: is a file; expected a folder for the results")
    if arguments.files_from:
        folder, images = arguments.images, read_list(arguments.files_from, arguments.images)
    else:
        folder, images = find_photos(arguments.images, arguments.out)
        unknown = sorted(chosen - set(images))
        if unknown:
            more = ", ..." if len(unknown) > _SHOWN else ""
            raise UsageError(
                f"{arguments.choices}: names {len(unknown)} photos that are not in {folder}: "
                f"{', '.join(unknown[:_SHOWN])}{more}"
            )
    return [places(folder, image, arguments.out) for image in images]


def _segment(arguments: argparse.Namespace, photos: list[Places], choices: Choices) -> int:
    from pconv_hpc.erasing.segment import DEFAULT_MIN_SCORE, Segmenter  # slow to import: PyTorch
    from pconv_hpc.erasing.segment_batch import Wish, segment_all

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
