#!/usr/bin/env python
"""Measure how well a network fills holes in packed photos, by hole ratio.

Every photo gets a fixed mask. Of the composite (the photo with its hole filled) L1 in the hole,
PSNR and SSIM are measured, and written to OUT: errors.csv (a row a photo), results.json and
report.html.
"""

import argparse
import os
from pathlib import Path

from pconv_hpc import atomic, cli
from pconv_hpc.stop_request import StopRequest

_EXAMPLES = """\
  python tools/evaluate.py packed/val/index.json --weights runs/imagenet_256 --out evaluation
  mpirun -np 8 python tools/evaluate.py packed/val/index.json --weights weights.h5 \\
      --masks masks/val.h5 --out evaluation
  sbatch jobs/evaluate.sbatch packed/val/index.json evaluation --weights runs/imagenet_256
"""


def main() -> None:
    """Parse, measure on all ranks, write and print on the first."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("index", type=Path, help="index.json of packed photos")
    parser.add_argument("--weights", type=Path, required=True, help="weight file or run folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--masks", type=Path, help="mask bank (default: strokes, drawn into OUT)")
    parser.add_argument("--num-images", type=cli.positive_int, default=1000, help="photos at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of masks")
    parser.add_argument("--batch-size", type=cli.positive_int, default=8)
    arguments = parser.parse_args()
    with StopRequest() as stop_request:
        _evaluate(arguments, stop_request)


def _evaluate(arguments: argparse.Namespace, stop_request: StopRequest) -> None:
    from pconv_hpc.data.mask_bank import MaskBank, draw_bank
    from pconv_hpc.data.shards import ShardReader
    from pconv_hpc.evaluation.hole_error import measure_network, table_by_hole_ratio, write_errors
    from pconv_hpc.evaluation.report import Report
    from pconv_hpc.model.find_weights import find_weights
    from pconv_hpc.model.weights import load_model
    from pconv_hpc.mpi import World

    world = World(os.environ)
    with world.ending_together():
        found = find_weights(arguments.weights)
        model, _, metadata = load_model(found.path)
        image_size = found.image_size or int(metadata.get("image_size", 256))
        bank_path = arguments.masks or arguments.out / "masks.h5"
        if arguments.masks is None and world.is_first:
            draw_bank(
                bank_path,
                num_masks=240,
                size=image_size,
                style_weights={"strokes": 1.0},
                seed=arguments.seed,
            )
        world.barrier()
        with ShardReader(arguments.index) as reader:
            part = measure_network(
                lambda images, masks: model.predict_on_batch([images, masks]),
                reader,
                MaskBank(bank_path),
                image_size=image_size,
                num_images=arguments.num_images,
                seed=arguments.seed,
                batch_size=arguments.batch_size,
                rank=world.rank,
                num_ranks=world.size,
                should_stop=lambda: stop_request.is_set,
            )
        parts = world.gather(part)
    if parts is None:
        return
    errors = [error for rank_part in parts for error in rank_part]
    write_errors(arguments.out / "errors.csv", errors)
    header, rows = table_by_hole_ratio(errors)
    report = Report("pconv_hpc: evaluation")
    report.paragraph(
        f"{arguments.weights} on {len(errors)} photos of {arguments.index}, {image_size} × "
        f"{image_size} pixels, masks from {bank_path}, seed {arguments.seed}."
    )
    report.table(header, rows)
    report.save(arguments.out / "report.html")
    table: list[dict[str, object]] = [dict(zip(header, row, strict=True)) for row in rows]
    described = {"weights": str(found.path), "image_size": image_size, "by_hole_ratio": table}
    atomic.write_json(arguments.out / "results.json", described)
    lines: list[list[object]] = [[*header], *rows]
    for line in lines:
        print("  ".join(f"{cell!s:>12}" for cell in line))
    print(f"report: {arguments.out / 'report.html'}")


if __name__ == "__main__":
    cli.run(main)
