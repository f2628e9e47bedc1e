"""Options that say what a GPU and a node can hold: results differ by rounding at most."""

from collections.abc import Sequence

_OPTIONS = ("--threads=", "--batch-size=", "--device=")


def capacity_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return threads, batch size and device of a stage's options."""
    return tuple(word for word in words if word.startswith(_OPTIONS))


def without_capacity(words: Sequence[str]) -> tuple[str, ...]:
    """Return the options but for threads, batch size and device."""
    return tuple(word for word in words if not word.startswith(_OPTIONS))
