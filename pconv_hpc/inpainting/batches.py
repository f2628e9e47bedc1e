"""Many photos through the network that fills holes."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.inpainting.fill import PhotoFilling, check_mask
from pconv_hpc.inpainting.inpainter import Inpainter
from pconv_hpc.inpainting.outside_in import Tile
from pconv_hpc.inpainting.photo_task import Job, Result
from pconv_hpc.photos.batch_driver import BatchWork, Done, failure_reason, run_batches
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo
from pconv_hpc.photos.photo import Photo


def erase_all(
    jobs: Iterable[Job],
    inpainter: Inpainter,
    *,
    num_threads: int = 4,
    overwrite: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    mask_values: Collection[int] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_begin: Callable[[Job], None] = lambda job: None,
) -> Iterator[Result]:
    """Erase what the masks mark, and yield a result for each photo as it is finished.

    At most ``num_threads`` photos are in memory at once. Outputs appear whole or not at all.
    Reading, failures and stopping are those of ``run_batches``. ``mask_values`` are the labels to
    erase of label maps.

    Raises:
        PconvError: the network itself cannot be used.
        OutputError: nothing can be written any more.
    """
    return run_batches(
        jobs,
        _Erasing(inpainter, overwrite=overwrite, max_pixels=max_pixels, mask_values=mask_values),
        num_threads=num_threads,
        max_begun=num_threads,
        should_stop=should_stop,
        on_begin=on_begin,
    )


@dataclass(frozen=True)
class _Work:
    """A photo that waits for predictions of its tiles."""

    job: Job
    photo: Photo
    filling: PhotoFilling
    tiles: list[Tile]


class _Erasing(BatchWork[Job, _Work, list[np.ndarray], Result]):
    """Reads a photo and its mask, pastes what the network predicts, and writes the photo."""

    def __init__(
        self,
        inpainter: Inpainter,
        *,
        overwrite: bool,
        max_pixels: int,
        mask_values: Collection[int] | None,
    ) -> None:
        self._inpainter = inpainter
        self._overwrite, self._max_pixels = overwrite, max_pixels
        self._mask_values = mask_values

    def open(self, task: Job) -> _Work | Done[Result]:
        if not self._overwrite and task.output.exists():
            return Done(Result(task, "skipped"))
        photo = read_photo(task.photo, max_pixels=self._max_pixels)
        mask = read_mask(task.mask, max_pixels=self._max_pixels, values=self._mask_values)
        try:
            check_mask(photo, mask.hole)
        except PconvError as error:
            raise type(error)(f"{task.photo} and {task.mask}: {error}") from error
        filling = self._inpainter.start(photo, mask.hole, mask.kept)
        tiles = next(filling, None)
        if tiles is None:
            unchanged = task.photo.read_bytes()
            with writing_results(task.output):
                write_bytes(task.output, unchanged)
            return Done(Result(task, "unchanged"))
        return _Work(task, photo, filling, tiles)

    def take(self, waiting: list[_Work], *, must: bool) -> list[_Work]:
        num_tiles = sum(len(work.tiles) for work in waiting)
        return waiting if must or num_tiles >= self._inpainter.batch_size else []

    def predict(self, batch: list[_Work]) -> list[list[np.ndarray]]:
        outputs = iter(self._inpainter.predict([tile for work in batch for tile in work.tiles]))
        return [[next(outputs) for _ in work.tiles] for work in batch]

    def finish(self, item: _Work, output: list[np.ndarray]) -> _Work | Done[Result]:
        try:
            tiles = item.filling.send(output)
        except StopIteration:
            with writing_results(item.job.output):
                write_photo(item.photo, item.job.output)
            return Done(Result(item.job, "erased", notes=item.photo.notes))
        return _Work(item.job, item.photo, item.filling, tiles)

    def failed(self, task: Job, error: Exception) -> Result:
        return Result(task, "failed", failure_reason(task.photo, error))
