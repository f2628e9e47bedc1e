"""Masks drawn by several processes, in order."""

import contextlib
import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Event

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import PconvError

_MASKS_PER_TASK = 16
_TASKS_AHEAD = 4  # for each process; more would only take memory
_Draw = Callable[[int], NDArray[np.uint8]]


def draw_in_order(draw: _Draw, num_masks: int, workers: int) -> Iterator[NDArray[np.uint8]]:
    """Yield ``draw(0)``, ``draw(1)``, …, drawn by ``workers`` processes, or by this one if it is 1.

    Signals to stop are left to this process, although launchers and terminals send them to all.

    Raises:
        PconvError: one of the processes was killed.
    """
    if workers <= 1:
        yield from map(draw, range(num_masks))
        return
    # Spawned, not forked: a fork of a process that holds MPI, Horovod or TensorFlow may hang.
    context = multiprocessing.get_context("spawn")
    # No multiprocessing.Pool: if one of its processes is killed it waits forever.
    unwanted = context.Event()
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, context, _start_worker, (draw, unwanted))
    pending: deque[Future[list[NDArray[np.uint8]]]] = deque()
    try:
        for first in range(0, num_masks, _MASKS_PER_TASK):
            with _ctrl_c_blocked():
                last = min(first + _MASKS_PER_TASK, num_masks)
                pending.append(executor.submit(_draw_in_worker, first, last))
            if len(pending) == _TASKS_AHEAD * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
        executor.shutdown()
    except BrokenProcessPool as error:
        # The executor asks the others by SIGTERM, which they leave to this process, and waits; one
        # may wait in turn for a lock that the killed one held.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise PconvError(
            "a process that draws masks was killed, perhaps because memory ran out. Nothing was "
            "written: run the same command again, with fewer processes if it happens again"
        ) from error
    finally:
        # Where not all was drawn, nobody wants what they still draw. They are asked to stop, not
        # killed: of one that is killed while it hands over masks the executor awaits the rest.
        unwanted.set()
        executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Let processes that are started in this block leave Ctrl-C, which reaches all, to this one."""
    resource_tracker.ensure_running()  # it unblocks the signal as it starts: let it start first
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """What a drawing process was given when it started: silhouettes may be many megabytes."""

    draw: _Draw
    unwanted: Event


def _start_worker(draw: _Draw, unwanted: Event) -> None:
    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _Worker.draw = staticmethod(draw)
    _Worker.unwanted = unwanted


def _draw_in_worker(first: int, last: int) -> list[NDArray[np.uint8]]:
    wanted = itertools.takewhile(lambda _: not _Worker.unwanted.is_set(), range(first, last))
    return [_Worker.draw(index) for index in wanted]
