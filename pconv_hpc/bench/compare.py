"""Two ways to do the same work, timed in turn, so that a noisy machine disturbs both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Work = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """What is compared with what, and what the ratio should be.

    ``ours`` and ``reference`` do the same amount of work when called. ``goal`` bounds the ratio of
    times (ours / reference) where ``quantity`` is ``time``, and of speeds where it is ``speed``.
    """

    name: str
    against: str
    ours: Work
    reference: Work
    quantity: Literal["time", "speed"]
    goal: float


@dataclass(frozen=True)
class Result:
    """The outcome of one comparison; ``ratio`` is the median over the rounds."""

    name: str
    against: str
    quantity: str
    goal: float
    ratio: float
    lowest: float
    highest: float
    ours_seconds: float
    reference_seconds: float

    @property
    def reached(self) -> bool:
        """Whether the median meets the goal."""
        return self.ratio <= self.goal if self.quantity == "time" else self.ratio >= self.goal

    def row(self) -> list[str]:
        """Return the cells of the printed table."""
        bound = "≤" if self.quantity == "time" else "≥"
        return [
            self.name,
            self.against,
            f"{self.quantity} {self.ratio:.2f} ×",
            f"{self.lowest:.2f}–{self.highest:.2f}",
            f"{bound} {self.goal:g} ×",
            "reached" if self.reached else "missed",
        ]


HEADER = ["what", "against", "ratio (median)", "range", "goal", ""]


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(comparison: Comparison, *, rounds: int) -> Result:
    """Time both sides alternately, after one round that is not counted.

    The order within a round alternates too: whoever is second finds warmer caches.
    """
    pairs: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        if number % 2:
            ours = _seconds(comparison.ours)
            reference = _seconds(comparison.reference)
        else:
            reference = _seconds(comparison.reference)
            ours = _seconds(comparison.ours)
        if number:
            pairs.append((ours, reference))
    inverted = comparison.quantity == "speed"
    ratios = [reference / ours if inverted else ours / reference for ours, reference in pairs]
    return Result(
        name=comparison.name,
        against=comparison.against,
        quantity=comparison.quantity,
        goal=comparison.goal,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        ours_seconds=statistics.median(ours for ours, _ in pairs),
        reference_seconds=statistics.median(reference for _, reference in pairs),
    )
