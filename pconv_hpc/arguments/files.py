"""The options by which photos are read."""

import argparse

from pconv_hpc import cli
from pconv_hpc.data.decode import DEFAULT_MAX_PIXELS

_Container = argparse.ArgumentParser | argparse._ArgumentGroup


def add_threads_option(parser: _Container, description: str) -> argparse.Action:
    """Add the number of threads, which do what ``description`` says."""
    return parser.add_argument("--threads", type=cli.positive_int, default=4, help=description)


def add_max_pixels_option(parser: _Container) -> argparse.Action:
    """Add the protection from decompression bombs."""
    return parser.add_argument(
        "--max-pixels",
        type=cli.positive_int,
        default=DEFAULT_MAX_PIXELS,
        help="larger photos are refused before they are decoded",
    )
