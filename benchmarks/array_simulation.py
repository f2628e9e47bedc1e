"""Simulate erasing a folder by a Slurm job array: hours, repeated work, load on the queue.

    python -m benchmarks.array_simulation               # ten million photos: the docs' tables
    python -m benchmarks.array_simulation --check OUT   # an erase folder against its simulation

Slices wait in one queue, and each takes a place when one is free. A start costs its imports, the
rest goes by photos. A task stops before its time limit and requeues itself; a lost node costs the
photos that were being worked on, and the slice starts again. Places differ in speed.
"""

import argparse
import heapq
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pconv_hpc.erasing.folder.ledger import SliceLedger, read_slice
from pconv_hpc.erasing.folder.manifest import read_manifest
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.options import cli

_HOUR = 3600.0
_SEEDS = 9
_LEDGER_S = 0.001  # times in ledgers are rounded to this
_TASKS = (1, 10, 100, 250, 500, 1000)
_LIMITS_H = (0.5, 1.0, 2.0, 8.0, 24.0)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a site gives.

    Attributes:
        places: tasks that run at once.
        limit_s: the time limit of a task.
        queue_s: mean wait of a start between a free place and its beginning.
        hours_between_losses: mean hours of one place until its node is lost.
        requeue_s: until a slice whose node was lost is in the queue again.
        slow_share: share of places that are slow.
        slow_factor: how many times longer these take.
    """

    places: int = 300
    limit_s: float = 2 * _HOUR
    queue_s: float = 60.0
    hours_between_losses: float = 1000.0
    requeue_s: float = 300.0
    slow_share: float = 0.02
    slow_factor: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done.

    Attributes:
        num_photos: all of them.
        photo_s: mean seconds that a task takes for one.
        spread: standard deviation of the slices' means, as a share of the mean.
        start_s: from a task's beginning to its first photo.
        margin_s: how long before its limit a task is told to stop.
        in_flight: photos that a task works on at once, and begins again when its node was lost.
    """

    num_photos: int = 10_000_000
    photo_s: float = 1.1
    spread: float = 0.1
    start_s: float = 30.0
    margin_s: float = 300.0
    in_flight: int = 16


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What came of one simulation.

    Attributes:
        hours: from the submission to the last photo.
        task_hours: that tasks held their places.
        starts: of tasks, first ones and repeated ones.
        losses: of nodes.
        repeats: photos that were begun again.
        most_starts_per_minute: the most that Slurm had to start within a minute.
    """

    hours: float
    task_hours: float
    starts: int
    losses: int
    repeats: int
    most_starts_per_minute: int


def simulate(work: Work, cluster: Cluster, num_slices: int, seed: int) -> Simulated:
    """Play the work once.

    Raises:
        UsageError: the time limit, or the loss of nodes, leaves no time for photos.
    """
    usable_s = cluster.limit_s - work.margin_s
    if usable_s <= work.start_s + work.photo_s * cluster.slow_factor:
        raise UsageError(
            f"a limit of {cluster.limit_s:g} s leaves no time for photos; pass a longer --limit"
        )
    if cluster.hours_between_losses * _HOUR <= work.start_s:
        raise UsageError("nodes are lost sooner than tasks start; pass a shorter --start")
    rng = np.random.default_rng(seed)
    photos = np.diff(np.linspace(0, work.num_photos, num_slices + 1).round().astype(int))
    photo_s = work.photo_s * rng.lognormal(-(work.spread**2) / 2, work.spread, num_slices)
    slowness = np.where(rng.random(cluster.places) < cluster.slow_share, cluster.slow_factor, 1.0)
    free = [(0.0, place) for place in range(cluster.places)]  # (since when, which)
    queue = [(0.0, number, number, int(count)) for number, count in enumerate(photos)]
    order, end, held_s = num_slices, 0.0, 0.0
    losses = repeats = 0
    starts = []
    while queue:
        since, _, number, left = heapq.heappop(queue)
        free_since, place = heapq.heappop(free)
        begin = max(since, free_since) + float(rng.exponential(cluster.queue_s))
        starts.append(begin)
        each_s = float(photo_s[number] * slowness[place])
        needed_s = work.start_s + left * each_s
        lost_s = float(rng.exponential(cluster.hours_between_losses * _HOUR))
        lasted_s = min(needed_s, usable_s, lost_s)
        stop = begin + lasted_s
        end, held_s = max(end, stop), held_s + lasted_s
        heapq.heappush(free, (stop, place))
        if lasted_s < needed_s:
            done = max(0, int((lasted_s - work.start_s) / each_s))
            if is_lost := lasted_s == lost_s:
                losses += 1
                repeats += min(work.in_flight, left - done) if lasted_s > work.start_s else 0
            again = stop + (cluster.requeue_s if is_lost else 0.0)
            heapq.heappush(queue, (again, order, number, left - done))
            order += 1
    return Simulated(
        hours=end / _HOUR,
        task_hours=held_s / _HOUR,
        starts=len(starts),
        losses=losses,
        repeats=repeats,
        most_starts_per_minute=max(np.bincount((np.array(starts) / 60).astype(int)).tolist()),
    )


def median_outcome(
    work: Work, cluster: Cluster, num_slices: int, seeds: Sequence[int] = range(_SEEDS)
) -> Simulated:
    """Return the median of each figure over seeds."""
    played = [simulate(work, cluster, num_slices, seed) for seed in seeds]

    def middle(name: str) -> float:
        return statistics.median(getattr(outcome, name) for outcome in played)

    return Simulated(
        hours=middle("hours"),
        task_hours=middle("task_hours"),
        starts=round(middle("starts")),
        losses=round(middle("losses")),
        repeats=round(middle("repeats")),
        most_starts_per_minute=round(middle("most_starts_per_minute")),
    )


def tables(work: Work, cluster: Cluster) -> Iterator[str]:
    """Yield the lines of two tables in Markdown: over the number of slices, over the limit."""
    figures = ("hours", "task hours", "starts", "lost nodes", "photos begun again")
    yield from _head("slices", "photos in each", "tasks at once", *figures)
    for num_slices in _TASKS:
        at_once = min(num_slices, cluster.places)
        cells = [f"{num_slices:,}", f"{work.num_photos // num_slices:,}", f"{at_once}"]
        yield _row(cells, median_outcome(work, cluster, num_slices))
    yield ""
    yield from _head("time limit", *figures, "starts a minute, at most")
    for hours in _LIMITS_H:
        limited = replace(cluster, limit_s=hours * _HOUR)
        outcome = median_outcome(work, limited, _TASKS[-1])
        yield _row([f"{hours:g} h"], outcome, f"{outcome.most_starts_per_minute:,}")


def _head(*names: str) -> tuple[str, str]:
    return "| " + " | ".join(names) + " |", "|" + "---|" * len(names)


def _row(cells: Sequence[str], outcome: Simulated, *more: str) -> str:
    numbers = (outcome.starts, outcome.losses, outcome.repeats)
    figures = [f"{outcome.hours:,.1f}", f"{outcome.task_hours:,.0f}", *(f"{n:,}" for n in numbers)]
    return "| " + " | ".join((*cells, *figures, *more)) + " |"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a finished erase folder tells of the speed of its tasks.

    Attributes:
        work: as simulated; ``spread`` is that of its slices.
        num_slices: of the folder.
        attempts: at them; more than slices where tasks were interrupted.
        seconds: from the first row of the ledger to the last.
    """

    work: Work
    num_slices: int
    attempts: int
    seconds: float


def observe(out: Path) -> Observed:
    """Read what the ledger of a finished erase folder says of speed.

    Raises:
        UsageError: it has no manifest, or no photo of it is done.
    """
    manifest = read_manifest(out)
    ledgers = [read_slice(manifest.slice_dir(number)) for number in range(manifest.num_slices)]
    begun = [ledger for ledger in ledgers if ledger.first_time is not None]
    done = [sum(outcome.is_done for outcome in ledger.outcomes.values()) for ledger in begun]
    if not sum(done):
        raise UsageError(f"{out}: no photo is done; expected an erase folder that is finished")
    means = [ledger.busy_seconds / max(1, count) for ledger, count in zip(begun, done, strict=True)]
    busy_s = sum(ledger.busy_seconds for ledger in begun)
    photo_s = max(busy_s, _LEDGER_S) / sum(done)
    first, last = (
        pick(getattr(ledger, name) for ledger in begun)
        for pick, name in ((min, "first_time"), (max, "last_time"))
    )
    work = Work(
        num_photos=sum(done),
        photo_s=photo_s,
        spread=float(np.std(means)) / photo_s,
        start_s=0.0,  # rows begin with the first photo
    )
    return Observed(
        work=work,
        num_slices=manifest.num_slices,
        attempts=sum(_num_attempts(ledger) for ledger in begun),
        seconds=max(last - first, _LEDGER_S),
    )


def _num_attempts(ledger: SliceLedger) -> int:
    return sum(1 for _ in ledger.slice_dir.glob("[0-9]*-*.jsonl"))


def check(out: Path, cluster: Cluster, start_s: float) -> Iterator[str]:
    """Yield lines that compare an erase folder with the simulation of its work."""
    seen = observe(out)
    losses = seen.attempts - seen.num_slices
    held_s = seen.work.num_photos * seen.work.photo_s + seen.attempts * start_s
    gap_h = held_s / _HOUR / losses if losses else math.inf
    work = replace(seen.work, start_s=start_s)
    played = median_outcome(
        work, replace(cluster, hours_between_losses=gap_h, slow_share=0.0), seen.num_slices
    )
    # The real time begins with the first photo, after the first start.
    predicted_s = played.hours * _HOUR - cluster.queue_s - start_s
    yield f"{work.num_photos:,} photos in {seen.num_slices} slices, {cluster.places} at once"
    yield f"a photo     {work.photo_s:.3f} s of a task, spread of slices {work.spread:.0%}"
    yield f"starts      {seen.attempts}, simulated {played.starts}"
    ratio = predicted_s / seen.seconds
    yield f"seconds     {seen.seconds:.0f}, simulated {predicted_s:.0f} ({ratio:.2f} x)"


def main() -> int:
    """Parse, simulate, print."""
    parser = cli.build_parser(__doc__ or "")
    parser.add_argument("--check", type=Path, metavar="OUT", help="compare with this erase folder")
    site, work = Cluster(), Work()
    parser.add_argument(
        "--places", type=cli.positive_int, default=site.places, help="tasks that run at once"
    )
    parser.add_argument(
        "--limit", type=_positive, default=site.limit_s / _HOUR, help="hours that a task may take"
    )
    parser.add_argument(
        "--wait", type=_positive, default=site.queue_s, help="mean seconds until a task is started"
    )
    parser.add_argument(
        "--requeue", type=_positive, default=site.requeue_s, help="seconds after a lost node"
    )
    parser.add_argument(
        "--start", type=_positive, default=work.start_s, help="seconds before a task's first photo"
    )
    parser.add_argument("--photos", type=cli.positive_int, default=work.num_photos, help="how many")
    parser.add_argument(
        "--seconds", type=_positive, default=work.photo_s, help="that a task takes for a photo"
    )
    arguments = parser.parse_args()
    cluster = Cluster(
        places=arguments.places,
        limit_s=arguments.limit * _HOUR,
        queue_s=arguments.wait,
        requeue_s=arguments.requeue,
    )
    if arguments.check:
        lines = check(arguments.check, cluster, arguments.start)
    else:
        asked = Work(
            num_photos=arguments.photos, photo_s=arguments.seconds, start_s=arguments.start
        )
        lines = tables(asked, cluster)
    for line in lines:
        print(line, flush=True)
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


if __name__ == "__main__":
    cli.run(main)
