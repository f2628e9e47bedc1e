"""Convert PConv weights of another project into a weights file of this one.

FILE is one of MMagic's (MMEditing's) or of naoto0804/pytorch-inpainting-with-partial-conv, released
or trained with their programs. It is read as data only, no code in it is run; every tensor must
match the network, and the converted network computes the same as theirs.
"""

import argparse
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.importing.weights import describe, import_weights
from pconv_hpc.options import cli

_EXAMPLES = """\
  pconv-hpc import-weights 1000000.pth weights/naoto.h5
  pconv-hpc inpaint beach.jpg beach_mask.png erased/ --weights weights/naoto.h5

Reading FILE needs PyTorch (make install PROFILE=erase); using OUT does not. pconv-hpc fetch-weights
converts the weights that it downloads by itself: pconv-hpc fetch-weights pconv_places2
"""


def main() -> None:
    """Parse, convert, describe the network."""
    arguments = _parse()
    if arguments.out.exists():
        raise UsageError(f"{arguments.out}: already exists; choose another name, or remove it")
    imported = import_weights(arguments.file, arguments.out, image_size=arguments.image_size)
    print(describe(arguments.out, imported))


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="weights as their program saved them (.pth)"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="weights file to write (.h5)")
    parser.add_argument(
        "--image-size",
        type=cli.positive_int,
        default=256,
        metavar="PX",
        help="side of the squares it was trained on, which is the size it is given holes at",
    )
    return parser.parse_args()


if __name__ == "__main__":
    cli.run(main)
