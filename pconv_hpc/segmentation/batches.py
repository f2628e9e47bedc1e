"""Many photos through the network that finds objects."""

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.masks.mask_growing import MaskShape, mask_pixels
from pconv_hpc.photos.batch_driver import BatchWork, Done, failure_reason, run_batches
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS
from pconv_hpc.photos.formats.photo_files import read_photo
from pconv_hpc.segmentation.choices import Choices
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances, write_instances
from pconv_hpc.segmentation.overlay import draw_overlay
from pconv_hpc.segmentation.photo_places import Places
from pconv_hpc.segmentation.segmenter import Prediction, Prepared, Segmenter
from pconv_hpc.segmentation.selection import SelectionError

Status = Literal["segmented", "selected anew", "skipped", "failed"]

# Photos that wait for others of their padded shape: so many batches may be begun.
_MAX_WAITING_BATCHES = 4


@dataclass(frozen=True)
class Result:
    """What became of a photo.

    ``segmented``: it went through the network; ``selected anew``: what had been found in it before
    was used again for another selection; ``skipped``: all was there; ``failed``: ``reason``.
    ``classes`` counts the selected objects.
    """

    image: str
    status: Status
    num_found: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def num_selected(self) -> int:
        """How many objects were selected."""
        return sum(self.classes.values())


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be made of what is found.

    Attributes:
        choices: what to select; class names as the network spells them.
        shape: of the masks.
        dilation: in pixels; ``None``: by the size of each object.
        with_overlay: whether to draw a picture with numbered instances.
        overwrite: whether to make what is there again.
        max_pixels: larger photos are refused before they are decoded.
        for_erasing: whether photos fail that could not be written back once they are erased.
    """

    choices: Choices
    shape: MaskShape = "dilate"
    dilation: int | None = None
    with_overlay: bool = False
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    for_erasing: bool = False

    def describe(self, image: str) -> str | None:
        """Return the selection and the shape of the mask as text; ``None`` for no selection."""
        selection = self.choices.describe(image)
        if selection is None:
            return None
        dilation = "auto" if self.dilation is None else self.dilation
        return f"{selection}; mask {self.shape}, dilate {dilation}"


def segment_all(
    photos: Iterable[Places],
    segmenter: Segmenter,
    wish: Wish,
    *,
    num_threads: int = 4,
    should_stop: Callable[[], bool] = lambda: False,
    on_begin: Callable[[str], None] = lambda image: None,
) -> Iterator[Result]:
    """Find the objects of every photo, select, write the files, and yield each photo's result.

    Photos of one padded shape make up a batch. Reading, failures and stopping are those of
    ``run_batches``; ``on_begin`` is given the photo's name. With one thread and batches of one, a
    photo is begun when the one before it has ended, so that whoever looks for the photo that kills
    the process finds it.

    Raises:
        PconvError: the network cannot be used for this at all.
        OutputError: nothing can be written any more.
    """
    one_by_one = segmenter.batch_size * num_threads == 1
    batches_at_once = 1 if one_by_one else segmenter.batches_at_once
    max_waiting = _MAX_WAITING_BATCHES * segmenter.batch_size
    with segmenter.cores_shared(batches_at_once):
        yield from run_batches(
            photos,
            _Segmenting(segmenter, wish, max_waiting),
            num_threads=num_threads,
            max_begun=1 if one_by_one else max_waiting + num_threads,
            batches_at_once=batches_at_once,
            should_stop=should_stop,
            on_begin=lambda places: on_begin(places.image),
        )


@dataclass(frozen=True)
class _Opened:
    """A photo that waits for the network."""

    places: Places
    prepared: Prepared
    version: int


class _Segmenting(BatchWork[Places, _Opened, Prediction | PconvError, Result]):
    """Reads a photo, or what was found in it before; selects, and writes the photo's files."""

    def __init__(self, segmenter: Segmenter, wish: Wish, max_waiting: int) -> None:
        self._segmenter, self._wish = segmenter, wish
        self._max_waiting = max_waiting

    def open(self, task: Places) -> _Opened | Done[Result]:
        version = task.version()
        wish = self._wish
        before = None if wish.overwrite else _found_before(task, self._segmenter, version)
        if before is not None:
            if _is_complete(task, before, wish):
                return Done(_result(task, before, "skipped"))
            return Done(_write(task, before, wish, "selected anew"))
        if wish.for_erasing and task.source is None:
            read_photo(task.photo, max_pixels=wish.max_pixels)
        image = task.read(max_pixels=wish.max_pixels)
        return _Opened(task, self._segmenter.prepare(image), version)

    def take(self, waiting: list[_Opened], *, must: bool) -> list[_Opened]:
        """Take a full batch of one shape, or if one must be taken the fullest there is."""
        groups: dict[tuple[int, int], list[_Opened]] = defaultdict(list)
        for opened in waiting:
            groups[opened.prepared.padded_shape].append(opened)
        fullest = max(groups.values(), key=len)
        batch = fullest[: self._segmenter.batch_size]
        is_full = len(batch) == self._segmenter.batch_size
        return batch if is_full or must or len(waiting) >= self._max_waiting else []

    def predict(self, batch: list[_Opened]) -> list[Prediction | PconvError]:
        return self._segmenter.predict([opened.prepared for opened in batch])

    def finish(self, item: _Opened, output: Prediction | PconvError) -> Done[Result]:
        if isinstance(output, PconvError):
            raise output
        found = PhotoInstances(
            image=item.places.image,
            width=output.width,
            height=output.height,
            num_bytes=item.version,
            model=self._segmenter.description,
            precision=self._segmenter.precision,
            min_score=self._segmenter.min_score,
            instances=tuple(self._segmenter.instances(output)),
        )
        return Done(_write(item.places, found, self._wish, "segmented"))

    def failed(self, task: Places, error: Exception) -> Result:
        return Result(task.image, "failed", reason=failure_reason(task.photo, error))


def _found_before(places: Places, segmenter: Segmenter, version: int) -> PhotoInstances | None:
    """Return what an earlier run found, if it was the same photo and the same network."""
    if not places.instances.exists():
        return None
    try:
        before = read_instances(places.instances)
    except UsageError:  # damaged: it is made again
        return None
    is_same = (
        before.num_bytes == version
        and before.model == segmenter.description
        and segmenter.can_use(before.precision)
        and before.min_score <= segmenter.min_score
    )
    return before if is_same else None


def _is_complete(places: Places, before: PhotoInstances, wish: Wish) -> bool:
    return (
        before.selection == wish.describe(places.image)
        and places.mask.exists() == bool(before.selected)
        and (places.overlay.exists() or not wish.with_overlay)
    )


def _write(places: Places, found: PhotoInstances, wish: Wish, status: Status) -> Result:
    """Select, and write the photo's files; the JSON last, as it tells that the others are whole."""
    try:
        selected = wish.choices.select(
            places.image, found.instances, height=found.height, width=found.width
        )
        failure = None
    except SelectionError as error:
        selected, failure = (), error
    selection = None if failure else wish.describe(places.image)
    found = replace(found, selection=selection, selected=selected)
    if selected:
        mask = mask_pixels(
            found.instances,
            selected,
            height=found.height,
            width=found.width,
            shape=wish.shape,
            dilation=wish.dilation,
        )
        _write_image(places.mask, mask, "PNG")
    else:
        with writing_results(places.mask):
            places.mask.unlink(missing_ok=True)
    if wish.with_overlay:
        image = places.read(max_pixels=wish.max_pixels)
        _write_image(places.overlay, draw_overlay(image, found.instances, selected), "JPEG")
    with writing_results(places.instances):
        write_instances(places.instances, found)
    if failure:
        raise failure
    return _result(places, found, status)


def _result(places: Places, found: PhotoInstances, status: Status) -> Result:
    classes = Counter(found.instances[index].class_name for index in found.selected)
    return Result(places.image, status, len(found.instances), classes)


def _write_image(path: Path, pixels: np.ndarray, image_format: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, image_format)
    with writing_results(path):
        write_bytes(path, stream.getvalue(), durable=False)
