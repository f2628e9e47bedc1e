"""Many photos through the network: files are read and written on threads while it computes."""

import contextlib
import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from pconv_hpc.foundation.atomic import write_bytes
from pconv_hpc.foundation.disk_space import OutputError, writing_results
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.masks.mask_growing import MaskShape, mask_pixels
from pconv_hpc.photos.decode import DEFAULT_MAX_PIXELS, decode_rgb
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
    """

    choices: Choices
    shape: MaskShape = "dilate"
    dilation: int | None = None
    with_overlay: bool = False
    overwrite: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS

    def describe(self, image: str) -> str | None:
        """Return the selection and the shape of the mask as text; ``None`` for no selection."""
        selection = self.choices.describe(image)
        if selection is None:
            return None
        dilation = "auto" if self.dilation is None else self.dilation
        return f"{selection}; mask {self.shape}, dilate {dilation}"


@dataclass(frozen=True)
class _Opened:
    """A photo that waits for the network."""

    places: Places
    prepared: Prepared
    num_bytes: int


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

    ``photos`` is read as it is needed. Photos of one padded shape make up a batch. A photo that
    fails is a result like any other. Once ``should_stop()`` is true, what has been through the
    network is written and the rest is left for another run. ``on_begin`` is called, on a thread,
    before a photo is opened. With one thread and batches of one, a photo is begun when the one
    before it has ended, so that whoever looks for the photo that kills the process finds it.

    Raises:
        PconvError: the network cannot be used for this at all.
        OutputError: nothing can be written any more.
    """
    remaining = iter(photos)
    waiting: dict[tuple[int, int], list[_Opened]] = {}
    running: dict[Future[_Opened | Result], Places] = {}
    opening: set[Future[_Opened | Result]] = set()
    predicting: dict[Future[list[Prediction | PconvError]], list[_Opened]] = {}
    one_by_one = segmenter.batch_size * num_threads == 1
    batches_at_once = 1 if one_by_one else segmenter.batches_at_once
    max_waiting = _MAX_WAITING_BATCHES * segmenter.batch_size
    max_begun = 1 if one_by_one else max_waiting + num_threads
    network = ThreadPoolExecutor(batches_at_once, thread_name_prefix="network")
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="photos")
    with contextlib.ExitStack() as stack:
        stack.enter_context(segmenter.cores_shared(batches_at_once))
        for threads in (network, pool):
            stack.callback(threads.shutdown, cancel_futures=True)
        while True:
            if should_stop():
                remaining, waiting = iter(()), {}
            num_waiting = sum(map(len, waiting.values()))
            room = max_begun - num_waiting - len(running) - sum(map(len, predicting.values()))
            for places in itertools.islice(remaining, max(0, room)):
                future: Future[_Opened | Result] = pool.submit(
                    _open, places, segmenter, wish, on_begin
                )
                running[future] = places
                opening.add(future)
            must = not opening or num_waiting >= max_waiting
            if len(predicting) < batches_at_once and (
                batch := _next_batch(waiting, segmenter.batch_size, must=must)
            ):
                prepared = [opened.prepared for opened in batch]
                predicting[network.submit(segmenter.predict, prepared)] = batch
                continue
            if not running and not predicting:
                return
            at_work: list[Future[Any]] = [*running, *predicting]
            done = wait(at_work, return_when=FIRST_COMPLETED).done
            for predicted in [future for future in predicting if future in done]:
                batch = predicting.pop(predicted)
                for opened, prediction in zip(batch, predicted.result(), strict=True):
                    future = pool.submit(_finish, opened, prediction, segmenter, wish)
                    running[future] = opened.places
            for ended in [future for future in running if future in done]:
                opening.discard(ended)
                outcome = _outcome(ended, running.pop(ended))
                if isinstance(outcome, Result):
                    yield outcome
                else:
                    waiting.setdefault(outcome.prepared.padded_shape, []).append(outcome)


def _next_batch(
    waiting: dict[tuple[int, int], list[_Opened]], batch_size: int, *, must: bool
) -> list[_Opened]:
    """Take a full batch out of ``waiting``, or if one must be taken the fullest there is."""
    if not waiting:
        return []
    shape = max(waiting, key=lambda shape: len(waiting[shape]))
    if len(waiting[shape]) < batch_size and not must:
        return []
    group = waiting.pop(shape)
    if group[batch_size:]:
        waiting[shape] = group[batch_size:]
    return group[:batch_size]


def _outcome(future: Future[_Opened | Result], places: Places) -> _Opened | Result:
    """Return what a thread made of a photo; whatever went wrong is that photo's failure alone."""
    try:
        return future.result()
    except OutputError:
        raise
    except PconvError as error:
        reason = str(error)
    except MemoryError:
        reason = "not enough memory for this photo"
    except Exception as error:  # decoders raise nearly anything
        reason = f"{type(error).__name__}: {error}"
    named = reason.startswith(str(places.photo))
    return Result(places.image, "failed", reason=reason if named else f"{places.photo}: {reason}")


def _open(
    places: Places, segmenter: Segmenter, wish: Wish, on_begin: Callable[[str], None]
) -> _Opened | Result:
    """Read a photo for the network, or use what was found in it before."""
    on_begin(places.image)
    try:
        num_bytes = places.photo.stat().st_size
    except OSError as error:
        raise UsageError(f"{places.photo}: cannot be read ({error.strerror})") from error
    before = None if wish.overwrite else _found_before(places, segmenter, num_bytes)
    if before is not None:
        if _is_complete(places, before, wish):
            return _result(places, before, "skipped")
        return _write(places, before, wish, "selected anew")
    image = decode_rgb(places.photo, max_pixels=wish.max_pixels)
    return _Opened(places, segmenter.prepare(image), num_bytes)


def _found_before(places: Places, segmenter: Segmenter, num_bytes: int) -> PhotoInstances | None:
    """Return what an earlier run found, if it was the same photo and the same network."""
    if not places.instances.exists():
        return None
    try:
        before = read_instances(places.instances)
    except UsageError:  # damaged: it is made again
        return None
    is_same = (
        before.num_bytes == num_bytes
        and before.model == segmenter.description
        and before.min_score <= segmenter.min_score
    )
    return before if is_same else None


def _is_complete(places: Places, before: PhotoInstances, wish: Wish) -> bool:
    return (
        before.selection == wish.describe(places.image)
        and places.mask.exists() == bool(before.selected)
        and (places.overlay.exists() or not wish.with_overlay)
    )


def _finish(
    opened: _Opened, prediction: Prediction | PconvError, segmenter: Segmenter, wish: Wish
) -> _Opened | Result:
    if isinstance(prediction, PconvError):
        raise prediction
    found = PhotoInstances(
        image=opened.places.image,
        width=prediction.width,
        height=prediction.height,
        num_bytes=opened.num_bytes,
        model=segmenter.description,
        min_score=segmenter.min_score,
        instances=tuple(segmenter.instances(prediction)),
    )
    return _write(opened.places, found, wish, "segmented")


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
        image = decode_rgb(places.photo, max_pixels=wish.max_pixels)
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
