"""Turn PConv weights that another project trained into a weight file of this one.

FILE is one of MMagic's (MMEditing's) or of naoto0804/pytorch-inpainting-with-partial-conv, released
or trained with their programs. It is read as data, nothing in it is run; every tensor must be the
described network's, and the network that comes of it gives the same as theirs.
"""

import argparse
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.importing.weights import describe, import_weights
from pconv_hpc.options import cli

_EXAMPLES = """\
  pconv-hpc import-weights 1000000.pth weights/naoto.h5
  pconv-hpc inpaint beach.jpg beach_mask.png erased/ --weights weights/naoto.h5

PyTorch reads FILE (make install PROFILE=erase); OUT is used without it. The weights that
pconv-hpc fetch-weights knows, it also converts: pconv-hpc fetch-weights pconv_places2
"""


def main() -> None:
    """Parse, convert, say what it was."""
    arguments = _parse()
    if arguments.out.exists():
        raise UsageError(f"{arguments.out}: exists; choose another name, or remove it")
    imported = import_weights(arguments.file, arguments.out, image_size=arguments.image_size)
    print(describe(arguments.out, imported))


def _parse() -> argparse.Namespace:
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("file", type=Path, metavar="FILE", help="what their program saved (.pth)")
    parser.add_argument("out", type=Path, metavar="OUT", help="weight file to write (.h5)")
    parser.add_argument(
        "--image-size",
        type=cli.positive_int,
        default=256,
        metavar="PX",
        help="side of the squares it was trained on; holes are brought to it at that size",
    )
    return parser.parse_args()


if __name__ == "__main__":
    cli.run(main)
