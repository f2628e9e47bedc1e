"""An end for ranks that wait for one that will never answer: frozen, or on a host that is gone.

Horovod's own limit covers ranks that are alive and late. When a whole process hangs, or its
host vanishes without closing its connections, the others wait inside MPI, where nothing ends them
before the job's time limit.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from pconv_hpc.foundation.closing import Closing
from pconv_hpc.foundation.errors import EXIT_INTERRUPTED, UsageError

LIMIT_VARIABLE = "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS"  # one limit for Horovod and for us
_DEFAULT_LIMIT_SECONDS = 900.0
TICKS = 20
_FIRST_STEP_FACTOR = 4  # it begins with building a graph, which XLA may compile for minutes

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def stall_limit(environment: Mapping[str, str]) -> float:
    """Return how many seconds ranks may wait for each other; 0 means forever, as for Horovod.

    Raises:
        UsageError: the variable holds no such number.
    """
    text = environment.get(LIMIT_VARIABLE) or str(_DEFAULT_LIMIT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{LIMIT_VARIABLE} is {text!r}; expected seconds, 0 for no limit")
    return seconds


class Watchdog(Closing):
    """Ends this process, at once and with exit code 75, when nothing was done for too long.

    Ends it from a thread: the main thread is inside a collective call and hears nothing. The
    launcher then ends the other ranks, and what was saved can be continued.

    Time is counted in ticks of the thread itself, so that a process which was stopped as a whole
    (a suspended job) does not take its own sleep for a wait.

    Args:
        limit_seconds: four times as long until the first step is finished; 0 turns it off.
        end: what ends the process; tests put their own.
        wait: what waits until an event is set, or for some seconds; tests put their own.
    """

    def __init__(
        self,
        limit_seconds: float,
        *,
        end: Callable[[int], object] = os._exit,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._limit_seconds = limit_seconds
        self._end = end
        self._wait = wait
        self._beats = self._items = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        if limit_seconds:
            self._thread.start()

    def beat(self) -> None:
        """Say that work is going on."""
        self._beats += 1

    def watching(self, items: Iterator[T]) -> Iterator[T]:
        """Iterate over ``items``; asking for the next one is a sign of work."""
        for item in items:
            self._items += 1
            self.beat()
            yield item

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        seen, idle_ticks = self._beats, 0
        while not self._wait(self._closed, self._limit_seconds / TICKS):
            idle_ticks = idle_ticks + 1 if seen == self._beats else 0
            seen = self._beats
            allowed = 1 if self._items > 1 else _FIRST_STEP_FACTOR
            if idle_ticks >= allowed * TICKS:
                _LOG.error(
                    "no step was finished for %.0f s: another rank hangs, its host is gone, or a "
                    "file system does not answer. Exiting; the last checkpoint is intact, "
                    "continue with pconv-hpc resume (%s changes the limit, 0 turns it off)",
                    allowed * self._limit_seconds,
                    LIMIT_VARIABLE,
                )
                self._end(EXIT_INTERRUPTED)
                return
