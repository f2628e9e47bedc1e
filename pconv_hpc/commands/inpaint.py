"""Fill the holes that masks mark in photos of any size, with the network in the package or yours.

White in a mask is erased. All other pixels of a PNG, TIFF or WebP stay exactly as they were; a JPEG
is saved with its own quantisation tables. Masks are matched to photos by relative path and name:
a/photo.png or a/photo_mask.png belongs to a/photo.jpg. Results have the photos' relative paths and
appear whole or not at all. Existing results are skipped, so repeating the command continues an
interrupted batch.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.erasing.folder.stage_ledger import StageLedger
from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.inpainting.fill import FillSettings
from pconv_hpc.inpainting.pairs import Pairing, pair_files
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.model.weight_header import check_weights
from pconv_hpc.options import cli
from pconv_hpc.options.files import (
    add_list_and_ledger_options,
    add_max_pixels_option,
    add_threads_option,
)
from pconv_hpc.options.inpaint import add_filling_options, add_weights_option, fill_settings_of
from pconv_hpc.segmentation.photo_places import read_list

_EXAMPLES = """\
  # one photo
  pconv-hpc inpaint beach.jpg beach_mask.png erased/

  # a folder with all its subfolders, with a network of your own
  pconv-hpc inpaint photos/ masks/ erased/ --weights runs/imagenet_256

  # only show which mask belongs to which photo
  pconv-hpc inpaint photos/ masks/ erased/ --dry-run
"""
_SHOWN = 5  # paths named of a long list


def main() -> int:
    """Parse, pair the files, erase."""
    arguments = _parse()
    settings = fill_settings_of(arguments)
    only = read_list(arguments.files_from, arguments.images) if arguments.files_from else None
    pairing = pair_files(arguments.images, arguments.masks, arguments.out, only)
    _describe(pairing)
    if arguments.dry_run:
        for job in pairing.jobs:
            print(f"{job.photo} + {job.mask} -> {job.output}")
        return EXIT_DONE
    if not pairing.jobs:
        print("none of these photos has a mask: nothing to erase")
        return EXIT_DONE
    weights = arguments.weights or SHIPPED_WEIGHTS
    check_weights(weights)  # to fail now, not when TensorFlow has taken its seconds
    with StopRequest() as stop:
        return _erase(arguments, weights, settings, pairing, stop)


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("images", type=Path, help="photo, or folder of photos")
    parser.add_argument("masks", type=Path, help="mask, or folder of masks; white = erase")
    parser.add_argument(
        "out",
        type=Path,
        help="folder for the results; for one photo, also a file name with the photo's suffix",
    )
    add_weights_option(parser)
    add_filling_options(parser)
    add_list_and_ledger_options(parser)
    add_threads_option(parser, "photos in memory at once")
    add_max_pixels_option(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument(
        "--dry-run", action="store_true", help="only show which mask belongs to which photo"
    )
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
    arguments: argparse.Namespace,
    weights: Path,
    settings: FillSettings,
    pairing: Pairing,
    stop: StopRequest,
) -> int:
    from pconv_hpc.inpainting.batches import erase_all
    from pconv_hpc.inpainting.inpainter import load_inpainter  # slow to import: TensorFlow

    inpainter = load_inpainter(
        weights,
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
