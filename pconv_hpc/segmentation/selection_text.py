"""Points, boxes, numbers and classes as people write them."""

import math

from pconv_hpc.foundation.errors import UsageError


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of ``"a,b"``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_point(text: str) -> tuple[float, float]:
    """Return the x and y of ``"x,y"`` or ``"x y"``."""
    x, y = _numbers(text, 2, "a point: x,y")
    return x, y


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Return the ends of ``"x0,y0,x1,y1"``, in rising order."""
    x0, y0, x1, y1 = _numbers(text, 4, "a box: x0,y0,x1,y1")
    if x0 == x1 or y0 == y1:
        raise UsageError(f"{text!r}: a box without any area")
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def parse_number(text: str) -> int:
    """Return the number of an instance."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"{text!r}: expected the number of an instance: 1, 2, 3, ...")
    return int(text)


def _numbers(text: str, count: int, expected: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{text!r}: expected {expected}, in pixels")
    return numbers
