"""Preparing the next items in a thread while the present one is used."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from pconv_hpc.foundation.closing import Closing

T = TypeVar("T")


class Prefetcher(Closing, Generic[T]):
    """Iterates over ``source`` in a thread of its own, at most ``capacity`` items ahead.

    An error in ``source`` is raised by ``next`` after the items before it. :meth:`close` ends the
    thread, also one that waits for room; it returns when the thread has ended.
    """

    def __init__(self, source: Iterator[T], *, capacity: int, name: str) -> None:
        self._source = source
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._finished = False
        self._changed = threading.Condition()
        # A daemon, so that a program that fails before it closes this can still end.
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as caught:  # whatever it is, it belongs to the consumer
            error = caught
        with self._changed:
            self._error, self._finished = error, True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Wait for room and add the item; return whether more are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._finished or len(self._items) < self._capacity)
            if self._finished:
                return False
            self._items.append(item)
            self._changed.notify_all()
        return True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._finished or self._items)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise StopIteration

    def close(self) -> None:
        """End the thread and drop what it prepared; ``next`` ends the iteration afterwards."""
        with self._changed:
            self._finished = True
            self._items.clear()
            self._changed.notify_all()
        self._thread.join()
        self._error = None
