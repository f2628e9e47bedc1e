"""The options by which objects are found, selected and made masks of."""

import argparse
from pathlib import Path

from pconv_hpc.masks.mask_growing import MASK_SHAPES
from pconv_hpc.options import cli
from pconv_hpc.segmentation.choices import parse_box, parse_number, parse_point
from pconv_hpc.segmentation.selection import Selection

Options = list[argparse.Action]


def add_network_options(parser: argparse.ArgumentParser, *, prefix: str = "") -> Options:
    """Add which network finds objects, and where it runs.

    Args:
        parser: the program's.
        prefix: of the options that another network of the same program has too.
    """
    network = parser.add_argument_group("network that finds objects" if prefix else "network")
    return [
        network.add_argument(
            "--config",
            help="configuration of MMDetection: a file, or the name of one it ships; a "
            "configuration is Python code that is run (default: Mask R-CNN R50-FPN on COCO)",
        ),
        network.add_argument(
            "--checkpoint", type=Path, help="its weights, .pth; no code in it is run"
        ),
        network.add_argument(
            "--device", help="cpu, cuda or cuda:1 (default: the GPU if there is one)"
        ),
        network.add_argument(
            f"--{prefix}batch-size",
            type=cli.positive_int,
            help="photos the network is given at once (default: 8 on a GPU, 1 without)",
        ),
    ]


def add_selection_options(parser: argparse.ArgumentParser) -> Options:
    """Add what to select of the objects that are found."""
    choice = parser.add_argument_group("what to select (several of these narrow it down)")
    return [
        choice.add_argument(
            "--click",
            type=parse_point,
            action="append",
            default=[],
            metavar="X,Y",
            help="the object at this pixel; may be given many times",
        ),
        choice.add_argument(
            "--number",
            type=parse_number,
            action="append",
            default=[],
            metavar="N",
            help="the object with this number in the overlay; may be given many times",
        ),
        choice.add_argument(
            "--classes", default="", metavar="A,B", help="objects of these classes, as person,car"
        ),
        choice.add_argument(
            "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="objects at least half inside"
        ),
        choice.add_argument(
            "--largest",
            type=cli.positive_int,
            nargs="?",
            const=1,
            metavar="N",
            help="the N largest of them (1 if no number is given)",
        ),
        choice.add_argument("--all", action="store_true", help="all objects"),
        choice.add_argument(
            "--min-score", type=_score, default=0.5, help="only objects this certain, 0 to 1"
        ),
        choice.add_argument(
            "--tolerance",
            type=float,
            metavar="PX",
            help="how far a click may miss an object (default: 2%% of the longer side)",
        ),
        choice.add_argument(
            "--choices", type=Path, metavar="CSV", help="table of what to select in which photo"
        ),
    ]


def add_mask_options(parser: argparse.ArgumentParser) -> Options:
    """Add how masks are made of objects."""
    shaping = parser.add_argument_group("masks")
    return [
        shaping.add_argument(
            "--mask",
            choices=MASK_SHAPES,
            default="dilate",
            help="exact: as found; dilate: grown; box, hull: grown rectangle or convex hull",
        ),
        shaping.add_argument(
            "--dilate",
            type=_pixels,
            metavar="PX",
            help="by how much masks are grown (default: 5%% of the object's size, at least 3)",
        ),
        shaping.add_argument("--overlay", action="store_true", help="draw pictures to choose from"),
    ]


def selection_of(arguments: argparse.Namespace) -> Selection:
    """Return the selection that the options of ``add_selection_options`` describe."""
    return Selection(
        clicks=tuple(arguments.click),
        numbers=tuple(arguments.number),
        classes=tuple(name.strip() for name in arguments.classes.split(",") if name.strip()),
        box=arguments.box,
        largest=arguments.largest,
        every=arguments.all,
        min_score=arguments.min_score,
        tolerance=arguments.tolerance,
    )


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
