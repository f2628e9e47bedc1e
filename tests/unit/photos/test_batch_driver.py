"""Photos through a network that doubles numbers: batches, failures, stopping, second passes."""

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.foundation.disk_space import OutputError, writing_results
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.batch_driver import BatchWork, Done, failure_reason, run_batches


class Doubling(BatchWork[int, list[int], int, str]):
    """Each photo is a number, and goes through the network ``passes`` times."""

    def __init__(self, batch_size: int = 3, passes: int = 1) -> None:
        self.batch_size, self.passes = batch_size, passes
        self.batches: list[list[int]] = []

    def open(self, task: int) -> list[int] | Done[str]:
        if task == 13:
            raise MemoryError
        if task == 17:
            with writing_results(Path("out")):
                raise OSError(errno.ENOSPC, "No space left on device")
        return Done("skipped 0") if task == 0 else [task, task, 0]

    def take(self, waiting: list[list[int]], *, must: bool) -> list[list[int]]:
        is_enough = must or len(waiting) >= self.batch_size
        return waiting[: self.batch_size] if is_enough else []

    def predict(self, batch: list[list[int]]) -> list[int]:
        self.batches.append([task for task, _, _ in batch])
        if 19 in self.batches[-1]:
            raise PconvError("the network is lost")
        return [2 * value for _, value, _ in batch]

    def finish(self, item: list[int], output: int) -> list[int] | Done[str]:
        task, _, passes = item
        if passes + 1 < self.passes:
            return [task, output, passes + 1]
        return Done(f"{task}: {output}")

    def failed(self, task: int, error: Exception) -> str:
        return failure_reason(task, error)


def assert_no_threads_left() -> None:
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("photos", "network"))]


@pytest.mark.parametrize(("num_threads", "batches_at_once"), [(1, 1), (4, 1), (3, 2)])
def test_each_photo_has_one_result_and_batches_are_filled(
    num_threads: int, batches_at_once: int
) -> None:
    work = Doubling(passes=2)
    results = run_batches(
        range(10), work, num_threads=num_threads, max_begun=9, batches_at_once=batches_at_once
    )
    expected = {"skipped 0", *(f"{task}: {4 * task}" for task in range(1, 10))}
    assert sorted(results) == sorted(expected)
    assert sum(map(len, work.batches)) == 18
    assert max(map(len, work.batches)) == 3
    assert_no_threads_left()


def test_a_photo_that_fails_fails_alone() -> None:
    results = list(run_batches(range(12, 15), Doubling(), num_threads=2, max_begun=3))
    assert sorted(results) == ["12: 24", "13: not enough memory for this photo", "14: 28"]


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [(17, OutputError, "No space left"), (19, PconvError, "the network is lost")],
)
def test_what_every_photo_would_meet_ends_the_batch(
    task: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        list(run_batches(range(task, 40), Doubling(), num_threads=2, max_begun=4))
    assert_no_threads_left()


def test_stopping_finishes_what_the_network_has_seen_and_leaves_the_rest() -> None:
    work = Doubling(batch_size=1, passes=3)
    results = list(
        run_batches(
            range(1, 30),
            work,
            num_threads=2,
            max_begun=6,
            should_stop=lambda: len(work.batches) >= 4,
        )
    )
    seen = {task for batch in work.batches for task in batch}
    assert sorted(results) == sorted(f"{task}: {8 * task}" for task in seen)
    assert 0 < len(seen) < 29


def test_photos_are_begun_only_as_there_is_room() -> None:
    taken = begun = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 1

    def on_begin(task: int) -> None:
        nonlocal begun
        begun += task

    results = run_batches(endless(), Doubling(), num_threads=1, max_begun=5, on_begin=on_begin)
    for count in range(1, 20):
        next(results)
        assert begun <= taken <= count + 5
    results.close()  # type: ignore[attr-defined]
    assert_no_threads_left()


def test_a_reason_begins_with_the_photos_name_once() -> None:
    assert failure_reason("a.jpg", PconvError("a.jpg: damaged")) == "a.jpg: damaged"
    assert failure_reason("a.jpg", PconvError("no object")) == "a.jpg: no object"
    assert failure_reason("a.jpg", KeyError("x")) == "a.jpg: KeyError: 'x'"
