"""Fill the holes that masks mark in photos of any size, with the network in the package or yours.

White in a mask is erased. All other pixels stay exactly as they were, of a JPEG in all blocks that
no hole touches; HEIC and AVIF are encoded again at high quality. Masks are matched to photos by
relative path and name: a/photo.png or a/photo_mask.png belongs to a/photo.jpg. Results have the
photos' relative paths and appear whole or not at all. Existing results are skipped, so repeating
the command continues an interrupted batch.
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from pconv_hpc.erasing.folder.stage_ledger import StageLedger
from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.erasing.stage_loop import follow
from pconv_hpc.foundation.errors import EXIT_DONE
from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.inpainting.pairs import Pairing, pair_files
from pconv_hpc.inpainting.photo_task import Result
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.model.weight_header import check_weights
from pconv_hpc.options import cli
from pconv_hpc.options.framework_start import has_gpu
from pconv_hpc.options.from_settings import add_setting_options
from pconv_hpc.options.inputs import inputs_of
from pconv_hpc.options.stage import add_stage_options, stage_settings
from pconv_hpc.photos.sources.named_photos import read_list
from pconv_hpc.photos.sources.passed_over import list_kinds

if TYPE_CHECKING:
    from pconv_hpc.inpainting.inpainter import Inpainter

_EXAMPLES = """\
  # one photo
  pconv-hpc inpaint beach.jpg beach_mask.png erased/

  # a folder with all its subfolders, with a network of your own
  pconv-hpc inpaint photos/ masks/ erased/ --weights runs/imagenet_256

  # erase the labels 3 and 7 of label maps
  pconv-hpc inpaint photos/ labels/ erased/ --mask-values 3,7

  # only show which mask belongs to which photo
  pconv-hpc inpaint photos/ masks/ erased/ --dry-run
"""
_SEVERAL = "pconv-hpc inpaint {} masks/ erased/"
_SHOWN = 5  # paths named of a long list


def main() -> int:
    """Parse, pair the files, erase."""
    arguments = _parse()
    settings = stage_settings(arguments)
    inpainter = None
    if arguments.when_told:
        check_weights(settings.inpaint.weights)
        inpainter = _prepared(settings)
        if not sys.stdin.readline():
            return EXIT_DONE
    inputs = inputs_of(arguments.images, arguments.out, _SEVERAL)
    images = inputs.images
    only = read_list(arguments.files_from, images) if arguments.files_from else inputs.names
    pairing = pair_files(images, arguments.masks, Path(arguments.out), only)
    _describe(pairing)
    if arguments.dry_run:
        for job in pairing.jobs:
            print(f"{job.photo} + {job.mask} -> {job.output}")
        return EXIT_DONE
    if not pairing.jobs:
        print("none of these photos has a mask; nothing to erase")
        return EXIT_DONE
    check_weights(settings.inpaint.weights)  # before TensorFlow takes its seconds
    return _erase(arguments, settings, images, pairing, inpainter or _load(settings))


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("images", nargs="+", help="photo, several photos, or folder of photos")
    parser.add_argument("masks", type=Path, help="mask, or folder of masks; white = erase")
    parser.add_argument(
        "out",
        help="folder for the results (with several photos, there or ending in /); for one photo, "
        "also a new file name with the photo's suffix",
    )
    parser.add_argument(
        "--mask-values",
        type=_labels,
        metavar="N,N,...",
        help="masks are label maps (PNG, TIFF, GIF, BMP): erase these of their values, which are "
        "numbers, or colours as #RRGGBB",
    )
    add_setting_options(parser, InpaintSettings)
    add_setting_options(parser, Resources, stage="inpaint")
    add_stage_options(parser, dry_run="only show which mask belongs to which photo")
    parser.add_argument(
        "--when-told",
        action="store_true",
        help="load the network, and begin once there is a line on standard input; at its end, exit",
    )
    return parser.parse_intermixed_args()


def _labels(text: str) -> frozenset[int]:
    try:
        values = {int(w[1:], 16) if w.startswith("#") else int(w) for w in text.split(",")}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected such as 3,7 or #400000") from error
    if not all(0 <= value < 1 << 24 for value in values):
        raise argparse.ArgumentTypeError(f"{text!r}: expected labels from 0 to 16777215")
    return frozenset(values)


def _describe(pairing: Pairing) -> None:
    for folder, others in pairing.passed_over.items():
        if others:
            print(f"{folder}: left out: {list_kinds(others)}", file=sys.stderr)
    for what, paths in (
        ("photos have no mask and are left alone", pairing.without_mask),
        ("masks belong to no photo", pairing.without_photo),
    ):
        if paths:
            more = ", ..." if len(paths) > _SHOWN else ""
            names = ", ".join(str(path) for path in paths[:_SHOWN])
            print(f"{len(paths)} {what}: {names}{more}", file=sys.stderr)


def _prepared(settings: EraseSettings) -> "Inpainter | None":
    """Load the network, but only TensorFlow where there is a GPU, whose memory it would take."""
    if not has_gpu():
        return _load(settings)
    importlib.import_module("pconv_hpc.inpainting.inpainter")
    return None


def _load(settings: EraseSettings) -> "Inpainter":
    from pconv_hpc.inpainting.inpainter import load_inpainter  # slow to import: TensorFlow

    fill = settings.inpaint
    return load_inpainter(
        fill.weights,
        settings=fill,
        batch_size=settings.resources.inpaint_batch_size,
        precision=fill.precision,
    )


def _erase(
    arguments: argparse.Namespace,
    settings: EraseSettings,
    images: Path,
    pairing: Pairing,
    inpainter: "Inpainter",
) -> int:
    from pconv_hpc.inpainting.batches import erase_all

    resources = settings.resources
    with (
        StopRequest() as stop,
        StageLedger(arguments.ledger, "inpaint", images) as ledger,
    ):

        def note(result: Result) -> None:
            photo = ledger.name(result.job.photo)
            if result.status == "failed":
                ledger.failed(photo, result.reason)
            else:
                ledger.erased(photo)
            for text in result.notes:
                tqdm.write(f"{result.job.photo}: {text}", file=sys.stderr)

        results = erase_all(
            pairing.jobs,
            inpainter,
            num_threads=resources.threads,
            overwrite=arguments.overwrite,
            max_pixels=resources.max_pixels,
            mask_values=arguments.mask_values,
            should_stop=lambda: stop.is_set,
            on_begin=lambda job: ledger.begin(ledger.name(job.photo)),
        )
        return follow(results, len(pairing.jobs), stop, note)


if __name__ == "__main__":
    cli.run(main)
