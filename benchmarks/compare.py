"""Two ways to do the same work, timed in turn, so that a noisy machine disturbs both alike."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Work = Callable[[], object]
Quantity = Literal["time", "memory", "speed"]


@dataclass(frozen=True)
class Comparison:
    """What is compared with what, and what the ratio should be.

    ``ours`` and ``reference`` do the same amount of work when called. ``goal`` bounds the ratio of
    times or of memory (ours / reference) from above, and that of speeds from below.

    ``self_measured``: the two return what they cost as a number, rather than being timed.
    """

    name: str
    against: str
    ours: Work
    reference: Work
    quantity: Quantity
    goal: float
    self_measured: bool = False


@dataclass(frozen=True)
class Result:
    """The outcome of one comparison; ``ratio`` is the median over the rounds.

    ``ours`` and ``reference`` are medians of what the sides cost: seconds, or MiB.
    """

    name: str
    against: str
    quantity: str
    goal: float
    ratio: float
    lowest: float
    highest: float
    ours: float
    reference: float

    @classmethod
    def of_one(
        cls,
        *,
        name: str,
        against: str,
        quantity: Quantity,
        goal: float,
        ours: float,
        reference: float,
    ) -> "Result":
        """Return the outcome of a single measurement against a fixed amount."""
        ratio = ours / reference
        return cls(name, against, quantity, goal, ratio, ratio, ratio, ours, reference)

    @property
    def reached(self) -> bool:
        """Whether the median meets the goal."""
        return self.ratio >= self.goal if self.quantity == "speed" else self.ratio <= self.goal

    def row(self) -> list[str]:
        """Return the cells of the printed table."""
        bound = "≥" if self.quantity == "speed" else "≤"
        return [
            self.name,
            self.against,
            f"{self.quantity} {self.ratio:.3g} ×",
            f"{self.lowest:.3g}–{self.highest:.3g}",
            f"{bound} {self.goal:g} ×",
            "reached" if self.reached else "missed",
        ]


HEADER = ["what", "against", "ratio (median)", "range", "goal", ""]


def _cost(work: Work, *, self_measured: bool) -> float:
    start = time.perf_counter()
    value = work()
    seconds = time.perf_counter() - start
    return float(value) if self_measured else seconds  # type: ignore[arg-type]


def compare(comparison: Comparison, *, rounds: int) -> Result:
    """Time both sides alternately, after one round that is not counted.

    The order within a round alternates too: whoever is second finds warmer caches.
    """

    def cost(work: Work) -> float:
        return _cost(work, self_measured=comparison.self_measured)

    pairs: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        if number % 2:
            ours = cost(comparison.ours)
            reference = cost(comparison.reference)
        else:
            reference = cost(comparison.reference)
            ours = cost(comparison.ours)
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
        ours=statistics.median(ours for ours, _ in pairs),
        reference=statistics.median(reference for _, reference in pairs),
    )
