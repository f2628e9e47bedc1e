"""Parsed options back to words of a command line, for the program that they are handed on to."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def option_words(
    options: Iterable[argparse.Action], namespace: argparse.Namespace, *, prefix: str = ""
) -> list[str]:
    """Return the words that make another parser with the same options parse the same values.

    Values at their defaults are left out. A word is ``--name=value``, so that no value passes for
    an option, and a path is absolute, as the other program may run elsewhere.

    Args:
        options: what ``add_argument`` returned: flags, options with one value, repeatable ones.
        namespace: what was parsed.
        prefix: taken off the options' names, as in ``--segment-batch-size`` → ``--batch-size``.
    """
    words = []
    for option in options:
        value = getattr(namespace, option.dest)
        if value == option.default or value is None:
            continue
        name = _name(option, prefix)
        if value is True:
            words.append(name)
        elif isinstance(value, list):
            words += [f"{name}={_text(one)}" for one in value]
        else:
            words.append(f"{name}={_text(value)}")
    return words


def words_of(option: argparse.Action, words: Iterable[str], *, prefix: str = "") -> list[str]:
    """Return those of ``option_words``' words that are of one option."""
    name = _name(option, prefix)
    return [word for word in words if word.partition("=")[0] == name]


def _name(option: argparse.Action, prefix: str) -> str:
    return f"--{option.option_strings[-1].removeprefix('--').removeprefix(prefix)}"


def _text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, tuple):  # a point, a box
        return ",".join(map(_text, value))
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)
