"""Many photos through a network: files are read and written on threads while it computes."""

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pconv_hpc.foundation.disk_space import OutputError
from pconv_hpc.foundation.errors import PconvError

Task = TypeVar("Task")
Item = TypeVar("Item")
Output = TypeVar("Output")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """A photo is finished, with this result."""

    result: Result


class BatchWork(ABC, Generic[Task, Item, Output, Result]):
    """What is done with each photo (a task), before and after the network.

    An item is a photo in memory that waits for the network. ``open``, ``predict`` and ``finish``
    are called on threads.
    """

    @abstractmethod
    def open(self, task: Task) -> Item | Done[Result]:
        """Read a photo for the network, unless it needs none."""

    @abstractmethod
    def take(self, waiting: list[Item], *, must: bool) -> list[Item]:
        """Choose those of the waiting items that make up the next batch, perhaps none yet.

        Args:
            waiting: at least one, in the order they came in.
            must: no thread is at work on another item: unless some wait for photos that are still
                to be opened, take what there is.
        """

    @abstractmethod
    def predict(self, batch: list[Item]) -> Sequence[Output]:
        """Run the network on a batch, in the order of ``waiting``; return an output for each item.

        Raises:
            PconvError: the network cannot be used at all.
        """

    @abstractmethod
    def finish(self, item: Item, output: Output) -> Item | Done[Result]:
        """Use the network's output; return an item if the photo needs the network once more."""

    @abstractmethod
    def failed(self, task: Task, error: Exception) -> Result:
        """Return the result of a photo on which ``open`` or ``finish`` failed.

        Raises:
            Exception: ``error``, if it ends the whole batch.
        """


@dataclass(frozen=True)
class _Waiting(Generic[Task, Item]):
    task: Task
    item: Item
    is_new: bool  # it has not been through the network yet


def run_batches(
    tasks: Iterable[Task],
    work: BatchWork[Task, Item, Output, Result],
    *,
    num_threads: int,
    max_begun: int,
    batches_at_once: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
    on_begin: Callable[[Task], None] = lambda task: None,
) -> Iterator[Result]:
    """Do the work on every photo, and yield each one's result as it is finished.

    ``tasks`` is read as it is needed. A photo that fails is a result like any other. Once
    ``should_stop()`` is true no photo is begun, what has been through the network is finished, and
    the rest is left for another run.

    Args:
        tasks: the photos.
        work: what is done with each.
        num_threads: that read and write files.
        max_begun: photos in memory at once.
        batches_at_once: that go through the network, each on a thread of its own.
        should_stop: asked before every step.
        on_begin: called, on a thread, before a photo is opened.

    Raises:
        PconvError: the network cannot be used.
        OutputError: nothing can be written any more.
    """

    def begin(task: Task) -> Item | Done[Result]:
        on_begin(task)
        return work.open(task)

    remaining = iter(tasks)
    waiting: list[_Waiting[Task, Item]] = []
    running: dict[Future[Item | Done[Result]], tuple[Task, bool]] = {}
    predicting: dict[Future[Sequence[Output]], list[_Waiting[Task, Item]]] = {}
    network = ThreadPoolExecutor(batches_at_once, thread_name_prefix="network")
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="photos")
    with contextlib.ExitStack() as stack:
        for threads in (network, pool):
            stack.callback(threads.shutdown, cancel_futures=True)
        while True:
            if should_stop():
                remaining = iter(())
                waiting = [one for one in waiting if not one.is_new]
            room = max_begun - len(waiting) - len(running) - sum(map(len, predicting.values()))
            for task in itertools.islice(remaining, max(0, room)):
                running[pool.submit(begin, task)] = task, True
            if waiting and len(predicting) < batches_at_once:
                items = work.take([one.item for one in waiting], must=not running)
                taken = set(map(id, items))
                batch = [one for one in waiting if id(one.item) in taken]
                if batch:
                    waiting = [one for one in waiting if id(one.item) not in taken]
                    predicted = network.submit(work.predict, [one.item for one in batch])
                    predicting[predicted] = batch
                    continue
            if not running and not predicting:
                return
            at_work: list[Future[Any]] = [*running, *predicting]
            done = wait(at_work, return_when=FIRST_COMPLETED).done
            for predicted in [future for future in predicting if future in done]:
                outputs = predicted.result()
                for one, output in zip(predicting.pop(predicted), outputs, strict=True):
                    running[pool.submit(work.finish, one.item, output)] = one.task, False
            for ended in [future for future in running if future in done]:
                task, is_new = running.pop(ended)
                outcome = _outcome(ended, task, work)
                if isinstance(outcome, Done):
                    yield outcome.result
                else:
                    waiting.append(_Waiting(task, outcome, is_new))


def _outcome(
    future: Future[Item | Done[Result]], task: Task, work: BatchWork[Task, Item, Any, Result]
) -> Item | Done[Result]:
    """Return what a thread made of a photo; whatever went wrong is that photo's failure alone."""
    try:
        return future.result()
    except OutputError:
        raise
    except Exception as error:  # decoders and encoders raise nearly anything
        return Done(work.failed(task, error))


def failure_reason(photo: object, error: Exception) -> str:
    """Return why ``photo`` failed, with its name in front unless the error begins with it."""
    if isinstance(error, PconvError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = "not enough memory for this photo"
    else:
        reason = f"{type(error).__name__}: {error}"
    return reason if reason.startswith(str(photo)) else f"{photo}: {reason}"
