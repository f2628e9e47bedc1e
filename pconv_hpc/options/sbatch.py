"""Options of sbatch that a program passes on when it submits."""

import argparse
from collections.abc import Mapping

from pconv_hpc.foundation.errors import UsageError


def add_sbatch_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, named: Mapping[str, str]
) -> list[argparse.Action]:
    """Add an option for each of ``named`` (name → description), and ``--sbatch`` for all others."""
    options = [
        parser.add_argument(f"--{name}", default=argparse.SUPPRESS, help=f"sbatch: {description}")
        for name, description in named.items()
    ]
    return [
        *options,
        parser.add_argument(
            "--sbatch",
            action="append",
            default=[],
            metavar="OPTION=VALUE",
            help="any other of sbatch's long options, such as exclude=node7; may be given many "
            "times",
        ),
    ]


def sbatch_options_of(arguments: argparse.Namespace, named: Mapping[str, str]) -> dict[str, str]:
    """Return sbatch's options by name, those of ``--sbatch`` last.

    Raises:
        UsageError: one of these is not OPTION=VALUE.
    """
    values = vars(arguments)
    options = {name: values[d] for name in named if (d := name.replace("-", "_")) in values}
    for text in arguments.sbatch:
        name, equals, value = text.removeprefix("--").partition("=")
        if not name or not equals:
            raise UsageError(f"--sbatch {text}: expected OPTION=VALUE, such as exclude=node7")
        options[name] = value
    return options
