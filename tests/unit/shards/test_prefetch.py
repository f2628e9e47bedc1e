"""The prefetch thread: in order, bounded, honest about errors, and always ended."""

import threading
from collections.abc import Iterator

import pytest

from pconv_hpc.shards.prefetch import Prefetcher

NAME = "test-prefetch"


def is_running() -> bool:
    return any(thread.name == NAME for thread in threading.enumerate())


def count_for_ever(produced: list[int], full: threading.Event, limit: int) -> Iterator[int]:
    number = 0
    while True:
        if number == limit:
            full.set()
        produced.append(number)
        yield number
        number += 1


def test_gives_all_items_in_order_and_then_ends() -> None:
    with Prefetcher(iter(range(100)), capacity=3, name=NAME) as prefetcher:
        assert list(prefetcher) == list(range(100))
        assert next(prefetcher, None) is None
    assert not is_running()


def test_stays_within_its_capacity() -> None:
    produced: list[int] = []
    full = threading.Event()
    with Prefetcher(count_for_ever(produced, full, 4), capacity=4, name=NAME) as prefetcher:
        assert full.wait(10)
        assert next(prefetcher) == 0
        assert len(produced) <= 4 + 1 + 1  # in the queue, in hand, taken


def test_an_error_comes_after_the_items_before_it_and_stays() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    with Prefetcher(failing(), capacity=8, name=NAME) as prefetcher:
        assert [next(prefetcher), next(prefetcher)] == [1, 2]
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is gone"):
                next(prefetcher)
    assert not is_running()


def test_close_ends_a_thread_that_waits_for_room() -> None:
    full = threading.Event()
    prefetcher = Prefetcher(count_for_ever([], full, 2), capacity=2, name=NAME)
    assert full.wait(10)
    assert is_running()
    prefetcher.close()
    assert not is_running()
    assert next(prefetcher, None) is None
    prefetcher.close()  # twice does no harm


def test_close_wakes_a_consumer_that_waits() -> None:
    release = threading.Event()

    def slow() -> Iterator[int]:
        release.wait(10)
        yield from ()

    prefetcher = Prefetcher(slow(), capacity=1, name=NAME)
    found: list[object] = []
    consumer = threading.Thread(target=lambda: found.append(next(prefetcher, "ended")))
    consumer.start()
    closer = threading.Thread(target=prefetcher.close)
    closer.start()
    consumer.join(10)
    assert found == ["ended"]
    release.set()
    closer.join(10)
    assert not is_running()


def test_an_error_in_the_block_ends_the_thread() -> None:
    full = threading.Event()
    with (
        pytest.raises(KeyboardInterrupt),
        Prefetcher(count_for_ever([], full, 2), capacity=2, name=NAME),
    ):
        raise KeyboardInterrupt
    assert not is_running()
