"""Which options a person gave, also where their values are the defaults."""

import argparse
from collections.abc import Iterable, Sequence


def parse_noting_given(
    parser: argparse.ArgumentParser,
    options: Iterable[argparse.Action],
    words: Sequence[str] | None = None,
) -> tuple[argparse.Namespace, frozenset[str]]:
    """Parse, and return which of ``options``, by ``dest``, were given.

    Args:
        parser: has ``options`` and others.
        options: what ``add_argument`` returned.
        words: of the command line; ``None``: this process's own.
    """
    defaults = {option.dest: option.default for option in options}
    # argparse puts defaults only where nothing is
    arguments = parser.parse_args(words, argparse.Namespace(**dict.fromkeys(defaults)))
    given = frozenset(dest for dest in defaults if getattr(arguments, dest) is not None)
    for dest in defaults.keys() - given:
        setattr(arguments, dest, defaults[dest])
    return arguments, given
