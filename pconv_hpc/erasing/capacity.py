"""Options that say what a GPU and a node can hold: results differ by rounding at most."""

from collections.abc import Sequence

_OPTIONS = ("--threads=", "--batch-size=", "--device=")


def without_capacity(words: Sequence[str]) -> tuple[str, ...]:
    """Return the options but for threads, batch size and device."""
    return tuple(word for word in words if not word.startswith(_OPTIONS))


def with_capacity(words: Sequence[str], recorded: Sequence[str]) -> tuple[str, ...]:
    """Return the options, with the recorded threads, batch size and device where they say none."""
    given = tuple(name for name in _OPTIONS if any(word.startswith(name) for word in words))
    added = [word for word in recorded if word.startswith(_OPTIONS) and not word.startswith(given)]
    return (*words, *added)
