"""Measure how well networks and baselines fill holes, and whether erased objects leave ghosts.

Photos, at their own size unless --size is given, get fixed masks chosen by the seed, and the holes
are filled as pconv-hpc inpaint fills them. L1, PSNR, SSIM, LPIPS, the texture ratio and the time
are measured for every filled hole, and reported by hole ratio, kind of mask, and whether a hole
touches the border. Then an object is pasted into some photos and erased with each shape of mask,
and what remains of its outline is measured. OUT gets report.html, contact sheets, tables.md,
results.json, errors.csv and ghosting.csv, which docs/guide/evaluate.md describes.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.foundation.stop_request import StopRequest
from pconv_hpc.inpainting.detail import DETAILS
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.options import cli

_BASELINES = ("telea", "navier_stokes", "fsr", "patchmatch", "biharmonic", "mean")
_EXAMPLES = """\
  # the network that comes with pconv_hpc, with and without detail, and all baselines
  pconv-hpc evaluate photos/ --out evaluation

  # the baselines alone, at 256 x 256, six masks of each kind per photo, real silhouettes
  pconv-hpc evaluate packed/val/index.json --weights --size 256 --masks strokes objects \\
      --masks-per-photo 6 --objects-from coco/panoptic_val2017 --out baselines

  # two networks on the same holes, with your own mask bank, on 8 ranks
  mpirun -np 8 pconv-hpc evaluate packed/val/index.json --weights runs/a runs/b \\
      --masks masks/val.h5 --out comparison

  sbatch jobs/evaluate.sbatch packed/val/index.json evaluation --weights runs/imagenet_256
"""


def main() -> None:
    """Parse, measure on all ranks, print on the first."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "images", type=Path, help="index.json of packed photos, or a folder of photos of any size"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="*",
        metavar="FILE|RUN_DIR",
        help="weights files, run folders, or places2 or celeba once fetched (default: the network "
        "that comes with pconv_hpc); without a value: the baselines alone",
    )
    parser.add_argument(
        "--baselines",
        nargs="*",
        choices=_BASELINES,
        default=list(_BASELINES),
        help="what else to measure; without a value: none. fsr (OpenCV's frequency-selective "
        "reconstruction) takes by far the longest",
    )
    parser.add_argument(
        "--fill",
        choices=("erase", "one-pass"),
        default="erase",
        help="how networks fill: as pconv-hpc inpaint does, or in one pass as in training",
    )
    parser.add_argument(
        "--detail",
        nargs="+",
        choices=DETAILS,
        help="where networks' fine detail comes from, as pconv-hpc inpaint --detail; each is "
        "compared with the others (default: all; none is the network alone)",
    )
    parser.add_argument(
        "--size",
        type=cli.positive_int,
        help="crop photos to squares of this side, in pixels (default: their own size; --fill "
        "one-pass: what the first network was trained at)",
    )
    parser.add_argument(
        "--max-side",
        type=cli.positive_int,
        default=4096,
        help="scale larger photos down to this, in pixels",
    )
    parser.add_argument(
        "--working-size",
        type=cli.positive_int,
        help="side of what networks are given by --fill erase, in pixels (default: what each was "
        "trained at)",
    )
    parser.add_argument(
        "--lpips",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE|DIR",
        help=".npz files with LPIPS' weights (default: weights/lpips_alexnet.npz if it is there; "
        "pconv-hpc fetch-weights lpips makes it)",
    )
    masks = parser.add_argument_group("masks")
    masks.add_argument(
        "--masks",
        nargs="+",
        default=["strokes", "boxes", "objects"],
        metavar="KIND|BANK",
        help="strokes, boxes, objects, or mask banks (pconv-hpc make-masks)",
    )
    masks.add_argument(
        "--objects-from",
        type=Path,
        metavar="PATH",
        help="folder of mask PNGs or silhouette file to take objects from (default: drawn figures)",
    )
    masks.add_argument(
        "--masks-per-photo",
        type=cli.positive_int,
        default=1,
        help="masks of each kind per photo; 6 give every photo one of each bin of hole ratios",
    )
    masks.add_argument(
        "--seed", type=int, default=0, help="seed of the choice of photos, masks and objects"
    )
    parser.add_argument("--num-images", type=cli.positive_int, default=100, help="photos at most")
    parser.add_argument(
        "--ghosting-photos",
        type=int,
        default=20,
        help="at most this many photos get an object pasted and erased; 0: none",
    )
    parser.add_argument(
        "--sheet-photos",
        type=int,
        default=16,
        help="how many of the first photos the contact sheets show; 0: none",
    )
    parser.add_argument(
        "--batch-size",
        type=cli.positive_int,
        default=8,
        help="tiles that networks are given at once",
    )
    arguments = parser.parse_args()
    with StopRequest() as stop_request:
        _evaluate(arguments, stop_request)


def _evaluate(arguments: argparse.Namespace, stop_request: StopRequest) -> None:
    from pconv_hpc.evaluation.reports.tables import MARKDOWN_NAME, ghost_table, overview_table
    from pconv_hpc.evaluation.run import REPORT_NAME, EvaluationSettings, evaluate
    from pconv_hpc.foundation.mpi import World

    settings = EvaluationSettings(
        images=arguments.images,
        out=arguments.out,
        weights=[SHIPPED_WEIGHTS] if arguments.weights is None else arguments.weights,
        baselines=arguments.baselines,
        masks=arguments.masks,
        objects_from=arguments.objects_from,
        size=arguments.size,
        max_side=arguments.max_side,
        detail=arguments.detail,
        working_size=arguments.working_size,
        fill=arguments.fill,
        lpips=arguments.lpips,
        num_photos=arguments.num_images,
        masks_per_photo=arguments.masks_per_photo,
        num_ghost_photos=arguments.ghosting_photos,
        num_sheet_photos=arguments.sheet_photos,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
    )
    world = World(os.environ)
    with world.ending_together():
        results = evaluate(settings, world, should_stop=lambda: stop_request.is_set)
    if results is None:
        return
    header, rows = overview_table(results)
    if rows:
        _print_table(header, rows)
    else:
        print("no method filled every hole of a kind; the report has the bins that one did fill")
    if results.ghosting:
        print()
        _print_table(*ghost_table(results))
    print(f"\nreport: {arguments.out / REPORT_NAME}")
    print(f"tables by hole ratio: {arguments.out / MARKDOWN_NAME}")


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    cli.run(main)
