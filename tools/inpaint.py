#!/usr/bin/env python
"""Erase what masks mark from photos of any size, with a network trained by tools/train.py.

White in a mask is erased; every other pixel of a PNG, TIFF or WebP stays exactly as it was, and a
JPEG is saved with its own quality tables. Masks are matched to photos by relative path and name:
a/photo.png or a/photo_mask.png belongs to a/photo.jpg. Results appear under the photos' relative
paths, whole or not at all; those already there are skipped, so an interrupted batch is continued
by the same command.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from pconv_hpc import cli
from pconv_hpc.data.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.erasing.fill import STRATEGIES, FillSettings
from pconv_hpc.erasing.pairs import Pairing, pair_files
from pconv_hpc.erasing.segment_files import read_list
from pconv_hpc.erasing.stage_ledger import StageLedger
from pconv_hpc.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError
from pconv_hpc.model.find_weights import find_weights
from pconv_hpc.stop_request import StopRequest

_EXAMPLES = """\
  # one photo
  python tools/inpaint.py beach.jpg beach_mask.png erased/ --weights runs/imagenet_256

  # a folder with all its subfolders
  python tools/inpaint.py photos/ masks/ erased/ --weights weights.h5

  # which photos have which mask, without doing anything
  python tools/inpaint.py photos/ masks/ erased/ --dry-run
"""
_SHOWN = 5  # paths named of a long list


def main() -> int:
    """Parse, pair the files, erase."""
    arguments = _parse()
    settings = FillSettings(
        strategy=arguments.strategy,
        context=arguments.context,
        max_reduction=arguments.max_reduction,
        feather=arguments.feather,
        max_full_pixels=arguments.max_full_pixels,
    )
    only = read_list(arguments.files_from, arguments.images) if arguments.files_from else None
    pairing = pair_files(arguments.images, arguments.masks, arguments.out, only)
    _describe(pairing)
    if arguments.dry_run:
        for job in pairing.jobs:
            print(f"{job.photo} + {job.mask} -> {job.output}")
        return EXIT_DONE
    if arguments.weights is None:
        raise UsageError(
            "no weights: name a weight file or the folder of a training run with --weights; "
            "tools/train.py makes them"
        )
    if not pairing.jobs:
        print("none of these photos has a mask: nothing to erase")
        return EXIT_DONE
    find_weights(arguments.weights)  # to fail now, not when TensorFlow has taken its seconds
    with StopRequest() as stop:
        return _erase(arguments, settings, pairing, stop)


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("images", type=Path, help="photo, or folder of photos")
    parser.add_argument("masks", type=Path, help="mask, or folder of masks; white = erase")
    parser.add_argument("out", type=Path, help="folder for the results; for one photo, or a file")
    parser.add_argument("--weights", type=Path, help="weight file, or folder of a training run")
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="crop",
        help="crop: each hole with its surroundings; full: the whole photo in one pass; "
        "resize: the whole photo at the working size",
    )
    parser.add_argument(
        "--working-size",
        type=cli.positive_int,
        metavar="PX",
        help="side of the square the network is given (default: the size it was trained at)",
    )
    parser.add_argument(
        "--context",
        type=float,
        default=FillSettings.context,
        help="side of a crop as a multiple of its hole's",
    )
    parser.add_argument(
        "--max-reduction",
        type=float,
        default=FillSettings.max_reduction,
        metavar="FACTOR",
        help="how much a crop may be scaled down; larger holes are filled from the outside in",
    )
    parser.add_argument(
        "--feather",
        type=float,
        default=FillSettings.feather,
        metavar="PX",
        help="width of the hole's rim in which colours are matched, at the network's resolution",
    )
    parser.add_argument(
        "--max-full-pixels",
        type=cli.positive_int,
        default=FillSettings.max_full_pixels,
        metavar="N",
        help="--strategy full scales larger photos down to this; needs about 2 KB of memory each",
    )
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=8, help="crops the network is given at once"
    )
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), default="float32"
    )
    parser.add_argument(
        "--files-from",
        type=Path,
        metavar="FILE",
        help="only these photos: relative paths by line, or .jsonl rows with a photo each",
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="append what becomes of each photo, as JSON"
    )
    parser.add_argument(
        "--threads", type=cli.positive_int, default=4, help="photos in memory at once"
    )
    parser.add_argument(
        "--max-pixels",
        type=cli.positive_int,
        default=DEFAULT_MAX_PIXELS,
        help="larger photos are refused before they are decoded",
    )
    parser.add_argument("--overwrite", action="store_true", help="make existing results again")
    parser.add_argument("--dry-run", action="store_true", help="show what belongs together")
    return parser.parse_args()


def _describe(pairing: Pairing) -> None:
    for what, paths in (
        ("photos have no mask and are left alone", pairing.without_mask),
        ("masks belong to no photo", pairing.without_photo),
    ):
        if paths:
            more = ", ..." if len(paths) > _SHOWN else ""
            names = ", ".join(str(path) for path in paths[:_SHOWN])
            print(f"{len(paths)} {what}: {names}{more}", file=sys.stderr)


def _erase(
    arguments: argparse.Namespace, settings: FillSettings, pairing: Pairing, stop: StopRequest
) -> int:
    from pconv_hpc.erasing.inpaint import load_inpainter  # slow to import: TensorFlow
    from pconv_hpc.erasing.pipeline import erase_all

    inpainter = load_inpainter(
        arguments.weights,
        settings=settings,
        working_size=arguments.working_size,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
    )
    counts = Counter[str]()
    ledger = StageLedger(arguments.ledger, "inpaint", arguments.images)
    with ledger, tqdm(total=len(pairing.jobs), unit="photo") as bar:
        for result in erase_all(
            pairing.jobs,
            inpainter,
            num_threads=arguments.threads,
            overwrite=arguments.overwrite,
            max_pixels=arguments.max_pixels,
            should_stop=lambda: stop.is_set,
            on_begin=lambda job: ledger.begin(ledger.name(job.photo)),
        ):
            counts[result.status] += 1
            bar.update()
            if result.status != "failed":
                ledger.erased(ledger.name(result.job.photo))
            else:
                ledger.failed(ledger.name(result.job.photo), result.reason)
                bar.write(f"failed: {result.reason}", file=sys.stderr)
            for note in result.notes:
                bar.write(f"{result.job.photo}: {note}", file=sys.stderr)
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    unfinished = len(pairing.jobs) - counts.total()
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
