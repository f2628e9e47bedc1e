"""Draw a bank of irregular masks, the holes that a network learns to fill.

The masks fall evenly into six bins of the hole ratio, 1% to 60% of the image. Styles:

  strokes  brush walks, lines and ellipses, as in Liu et al. 2018
  boxes    one to four rectangles, some rotated, some with round corners
  objects  silhouettes from --objects-from, dilated by 1% to 6%
  mixed    all of these in equal parts (objects only with --objects-from)

A network that is to erase objects should be fine-tuned on object masks.
"""

import os
from pathlib import Path

from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.disk_space import writing
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank, load_silhouettes
from pconv_hpc.masks.mask_drawing import MaskPlan
from pconv_hpc.masks.mask_report import bank_table, contact_sheet, plan_table
from pconv_hpc.options import cli

_EXAMPLES = """\
  # the paper's kind of masks for training at 256 x 256, and a picture of them
  pconv-hpc make-masks masks/strokes_256.h5 --num-masks 12000 --size 256 \\
      --contact-sheet masks/strokes_256.png

  # silhouettes that pconv-hpc harvest found in the training photos
  pconv-hpc make-masks masks/objects_256.h5 --num-masks 12000 --size 256 \\
      --style objects --objects-from masks/objects.h5

  # silhouettes from COCO's panoptic PNGs, drawn in 8 processes
  pconv-hpc make-masks masks/objects_256.h5 --num-masks 12000 --size 256 \\
      --style objects --objects-from coco/panoptic_train2017 --workers 8

Name the bank in the configuration: masks.train_bank=masks/objects_256.h5
"""


def main() -> None:
    """Parse, draw, show."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("out", type=Path, help="mask bank to write, HDF5")
    parser.add_argument("--num-masks", type=cli.positive_int, default=4096, help="number of masks")
    parser.add_argument(
        "--size",
        type=cli.positive_int,
        default=256,
        help="side in pixels; at least that of the training crops",
    )
    parser.add_argument(
        "--style",
        choices=("strokes", "boxes", "objects", "mixed"),
        default="strokes",
        help="see above",
    )
    parser.add_argument(
        "--objects-from",
        type=Path,
        metavar="PATH",
        help="silhouette file of pconv-hpc harvest, or folder of mask PNGs: white objects on "
        "black, or label maps such as COCO panoptic",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same masks")
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        default=len(os.sched_getaffinity(0)),
        help="processes that draw; the masks are the same for any number",
    )
    parser.add_argument(
        "--contact-sheet", type=Path, metavar="PNG", help="also write a picture of some of them"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be drawn")
    arguments = parser.parse_args()

    weights = _style_weights(arguments.style, arguments.objects_from)
    if arguments.dry_run:
        plan = MaskPlan(size=arguments.size, seed=arguments.seed, style_weights=weights)
        silhouettes = load_silhouettes(plan, arguments.objects_from)
        if silhouettes is not None:
            print(f"{len(silhouettes)} silhouettes from {arguments.objects_from}")
        print(plan_table(plan, arguments.num_masks))
        print(f"would draw these masks into {arguments.out}")
        return
    with writing(arguments.out):
        draw_bank(
            arguments.out,
            num_masks=arguments.num_masks,
            size=arguments.size,
            style_weights=weights,
            objects_from=arguments.objects_from,
            seed=arguments.seed,
            workers=arguments.workers,
            show_progress=True,
        )
    bank = MaskBank(arguments.out)
    bank.verify()
    print(bank_table(bank))
    print(f"{bank.path}: {bank.num_masks} masks of {bank.size} x {bank.size} pixels")
    if arguments.contact_sheet is not None:
        sheet = contact_sheet(bank)
        with writing(arguments.contact_sheet), atomic_path(arguments.contact_sheet) as temporary:
            sheet.save(temporary, "PNG")
        print(f"{arguments.contact_sheet}: the first bin in the first row, holes white")


def _style_weights(style: str, objects_from: Path | None) -> dict[str, float]:
    if style == "objects" and objects_from is None:
        raise UsageError("--style objects needs --objects-from, a file or a folder of silhouettes")
    if style in ("strokes", "boxes") and objects_from is not None:
        raise UsageError(f"--objects-from has no effect with --style {style}")
    if style == "mixed":
        return {"strokes": 1.0, "boxes": 1.0, "objects": 0.0 if objects_from is None else 1.0}
    return {style: 1.0}


if __name__ == "__main__":
    cli.run(main)
