"""The options by which holes are filled."""

import argparse
from pathlib import Path

from pconv_hpc.inpainting.detail import DETAILS
from pconv_hpc.inpainting.fill import STRATEGIES, FillSettings
from pconv_hpc.options import cli

Options = list[argparse.Action]
# What argparse gives a group and a parser in common.
_Container = argparse.ArgumentParser | argparse._ArgumentGroup


def add_weights_option(parser: _Container) -> argparse.Action:
    """Add the network that fills holes."""
    return parser.add_argument(
        "--weights",
        type=Path,
        help="weight file, folder of a training run, or places2 or celeba once "
        "pconv-hpc fetch-weights has fetched them (default: the network that comes with pconv_hpc, "
        "docs/reference/model_card.md)",
    )


def add_filling_options(parser: _Container, *, prefix: str = "") -> Options:
    """Add how holes are brought to the network.

    Args:
        parser: the program's, or a group of its options.
        prefix: of the options that another network of the same program has too.
    """
    return [
        parser.add_argument(
            "--strategy",
            choices=STRATEGIES,
            default="crop",
            help="crop: each hole with its surroundings; full: the whole photo in one pass; "
            "resize: the whole photo at the working size",
        ),
        parser.add_argument(
            "--detail",
            choices=DETAILS,
            default=FillSettings.detail,
            help="patches: the photo's own texture on what the network made; blended: softer, and "
            "nearer to the truth on average; none: the network alone",
        ),
        parser.add_argument(
            "--working-size",
            type=cli.positive_int,
            metavar="PX",
            help="side of the square the network is given (default: the size it was trained at)",
        ),
        parser.add_argument(
            "--context",
            type=float,
            default=FillSettings.context,
            help="side of a crop as a multiple of its hole's",
        ),
        parser.add_argument(
            "--max-reduction",
            type=float,
            default=FillSettings.max_reduction,
            metavar="FACTOR",
            help="how much a crop may be scaled down for the network, which happens only to holes "
            "that it cannot fill well at their own scale",
        ),
        parser.add_argument(
            "--rim",
            type=float,
            default=FillSettings.rim,
            metavar="PX",
            help="over how many pixels, at the network's resolution, continued surroundings fade "
            "into what the network made",
        ),
        parser.add_argument(
            "--max-full-pixels",
            type=cli.positive_int,
            default=FillSettings.max_full_pixels,
            metavar="N",
            help="--strategy full scales larger photos down to this; needs about 2 KB of memory "
            "each",
        ),
        parser.add_argument(
            f"--{prefix}batch-size",
            type=cli.positive_int,
            default=8,
            help="crops the network is given at once",
        ),
        parser.add_argument(
            "--precision",
            choices=("float32", "bfloat16", "float16"),
            default="float32",
            help="of the network; float32 multiplies in TF32 on GPUs that have it (A100)",
        ),
    ]


def fill_settings_of(arguments: argparse.Namespace) -> FillSettings:
    """Return the settings that the options of ``add_filling_options`` describe.

    Without ``--working-size`` the network's own is to be put in place of theirs.

    Raises:
        UsageError: one of them cannot be used.
    """
    return FillSettings(
        strategy=arguments.strategy,
        detail=arguments.detail,
        working_size=arguments.working_size or FillSettings.working_size,
        context=arguments.context,
        max_reduction=arguments.max_reduction,
        rim=arguments.rim,
        max_full_pixels=arguments.max_full_pixels,
    )
