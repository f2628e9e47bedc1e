"""The options by which a stage of erasing is told about files."""

import argparse
from pathlib import Path

from pconv_hpc.options import cli
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS

_Container = argparse.ArgumentParser | argparse._ArgumentGroup


def add_list_and_ledger_options(parser: _Container) -> None:
    """Add by what one task of many is given its photos, and where it accounts for them."""
    parser.add_argument(
        "--files-from",
        type=Path,
        metavar="FILE",
        help="only these photos: relative paths by line, or .jsonl rows with a photo each",
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="append what becomes of each photo, as JSON"
    )


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
