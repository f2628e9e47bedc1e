"""Many photos through the network: files are read and written on threads while it computes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.foundation.disk_space import OutputError, writing_results
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.inpainting.fill import PhotoFilling, check_mask
from pconv_hpc.inpainting.inpainter import Inpainter
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.photo_task import Job, Result
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo
from pconv_hpc.photos.photo import Photo


@dataclass(frozen=True)
class _Work:
    """A photo that waits for predictions of its tiles."""

    job: Job
    photo: Photo
    filling: PhotoFilling
    tiles: list[Tile]


def erase_all(
    jobs: Iterable[Job],
    inpainter: Inpainter,
    *,
    num_threads: int = 4,
    overwrite: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    should_stop: Callable[[], bool] = lambda: False,
    on_begin: Callable[[Job], None] = lambda job: None,
) -> Iterator[Result]:
    """Erase what the masks mark, and yield a result for each photo as it is finished.

    ``jobs`` is read as it is needed, and at most ``num_threads`` photos are in memory at once. A
    photo that fails is a result like any other. Outputs appear whole or not at all. Once
    ``should_stop()`` is true no further photo is begun; those in memory are finished. ``on_begin``
    is called before a photo is opened.

    Raises:
        PconvError: the network itself cannot be used.
        OutputError: nothing can be written any more.
    """
    remaining = iter(jobs)
    running: dict[Future[_Work | Result], Job] = {}
    waiting: list[_Work] = []
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="photos")
    try:
        while True:
            while len(running) + len(waiting) < num_threads and not should_stop():
                job = next(remaining, None)
                if job is None:
                    break
                on_begin(job)
                running[pool.submit(_open, job, inpainter, overwrite, max_pixels)] = job
            if not running and not waiting:
                return
            if waiting and (not running or _num_tiles(waiting) >= inpainter.batch_size):
                outputs = iter(inpainter.predict([t for work in waiting for t in work.tiles]))
                for work in waiting:
                    predictions = [next(outputs) for _ in work.tiles]
                    running[pool.submit(_advance, work, predictions)] = work.job
                waiting = []
                continue
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = _outcome(future, running.pop(future))
                if isinstance(outcome, Result):
                    yield outcome
                else:
                    waiting.append(outcome)
    finally:
        pool.shutdown(cancel_futures=True)


def _num_tiles(works: list[_Work]) -> int:
    return sum(len(work.tiles) for work in works)


def _outcome(future: Future[_Work | Result], job: Job) -> _Work | Result:
    """Return what a thread made of a photo; whatever went wrong is that photo's failure alone."""
    try:
        return future.result()
    except OutputError:
        raise
    except PconvError as error:
        return Result(job, "failed", str(error))
    except MemoryError:
        return Result(job, "failed", f"{job.photo}: not enough memory for this photo")
    except Exception as error:  # encoders raise nearly anything
        return Result(job, "failed", f"{job.photo}: {type(error).__name__}: {error}")


def _open(job: Job, inpainter: Inpainter, overwrite: bool, max_pixels: int) -> _Work | Result:
    """Read a photo and its mask and plan the work; runs on a thread."""
    if not overwrite and job.output.exists():
        return Result(job, "skipped")
    photo = read_photo(job.photo, max_pixels=max_pixels)
    mask = read_mask(job.mask, max_pixels=max_pixels)
    _check(job, photo, mask.hole)
    filling = inpainter.start(photo, mask.hole, mask.kept)
    tiles = next(filling, None)
    if tiles is None:
        unchanged = job.photo.read_bytes()
        with writing_results(job.output):
            write_bytes(job.output, unchanged)
        return Result(job, "unchanged")
    return _Work(job, photo, filling, tiles)


def _check(job: Job, photo: Photo, hole: np.ndarray) -> None:
    try:
        check_mask(photo, hole)
    except PconvError as error:
        raise type(error)(f"{job.photo} and {job.mask}: {error}") from error


def _advance(work: _Work, predictions: list[np.ndarray]) -> _Work | Result:
    """Paste predictions, and write the photo if they were the last; runs on a thread."""
    try:
        tiles = work.filling.send(predictions)
    except StopIteration:
        with writing_results(work.job.output):
            write_photo(work.photo, work.job.output)
        return Result(work.job, "erased", notes=work.photo.notes)
    return _Work(work.job, work.photo, work.filling, tiles)
