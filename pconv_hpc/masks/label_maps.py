"""Reading the mask PNGs of others: which pixels of a picture are an object.

Two kinds of PNG are understood: masks (black, and one other colour where the object is, soft edges
allowed) and label maps, where each distinct value or colour is one segment and 0 is none, such as
the panoptic PNGs of COCO or the instance PNGs of VOC, Cityscapes and ADE20K. In a label map of one
byte a pixel, 255 is no segment either but what nobody is to learn from: in VOC the border of every
object, which is a ring.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pconv_hpc.foundation.errors import UsageError

Segment = NDArray[np.bool_]

_MAX_PIXELS = 64_000_000
_MODES = ("1", "L", "P", "I;16", "I", "LA", "RGB", "RGBA")

_VOID = 255
_MIN_SOFT_WHITE = 250
_UNKNOWN = -1

MIN_AREA, MAX_AREA = 0.003, 0.5  # of the picture; smaller ones have no shape to speak of
_MIN_BOX_SHARE = 0.2  # of its bounding box: below it a label is scattered pieces, not an object
_MAX_BORDER_SHARE = 0.25  # of the square root of its area: above it the picture's edge cut it off


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a PNG as labels without any colour conversion: int32 (H, W), colours as 24-bit numbers.

    The void of label maps, see above, is -1.

    Raises:
        UsageError: no PNG, damaged, of an unknown kind, or of more than 64 million pixels.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for forever
        raise UsageError(f"{path}: not a regular file; remove it")
    try:
        with Image.open(path, formats=["PNG"]) as image:
            _check_header(path, image)
            pixels = np.asarray(image)
            has_palette = image.mode == "P" and not _is_gray_ramp(image.getpalette() or [])
    except UsageError:
        raise
    except Image.DecompressionBombError as error:
        raise UsageError(f"{path}: {error}; scale it down or remove it") from error
    except UnidentifiedImageError as error:
        raise UsageError(f"{path}: not a PNG image; repair or remove it") from error
    except Exception as error:  # decoders raise nearly anything on damaged data
        raise UsageError(f"{path}: damaged PNG ({error}); repair or remove it") from error
    labels = _as_numbers(pixels)
    is_one_byte = pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] == 2)
    if is_one_byte and _has_void(labels, has_palette=has_palette):
        labels[labels == _VOID] = _UNKNOWN
    return labels


def _check_header(path: Path, image: Image.Image) -> None:
    if image.width * image.height > _MAX_PIXELS:
        raise UsageError(
            f"{path}: {image.width} x {image.height} pixels, expected at most "
            f"{_MAX_PIXELS:,}; scale it down or remove it"
        )
    if image.mode not in _MODES:
        raise UsageError(
            f"{path}: a PNG of mode {image.mode}, expected gray, RGB or palette; "
            "convert or remove it"
        )


def _as_numbers(pixels: NDArray[Any]) -> NDArray[np.int32]:
    """Make one number of the channels of each pixel; alpha says nothing about labels."""
    if pixels.ndim == 2:
        return pixels.astype(np.int32)
    first = pixels[..., 0].astype(np.int32)
    is_gray = pixels.shape[2] == 2 or (pixels[..., :3] == pixels[..., :1]).all()
    if is_gray:
        return first
    return first << 16 | pixels[..., 1].astype(np.int32) << 8 | pixels[..., 2]


def _is_gray_ramp(palette: list[int]) -> bool:
    return palette == np.repeat(np.arange(len(palette) // 3), 3).tolist()


def _has_void(labels: NDArray[np.int32], *, has_palette: bool) -> bool:
    """Return whether 255 is void: there are other labels, and it is not the white of a mask."""
    values, counts = np.unique(labels, return_counts=True)
    others = values[(values != 0) & (values != _VOID)]
    if has_palette:
        return len(others) > 0
    # the grays of soft edges are others, too, but go up to white
    return not _is_mask(values, counts) and len(others) > 0 and others[-1] < _MIN_SOFT_WHITE


def object_segments(labels: NDArray[np.int32]) -> Iterator[Segment]:
    """Yield the objects of one PNG: its white part if it is a mask, else each fitting label."""
    values, counts = np.unique(labels, return_counts=True)
    if _is_mask(values, counts):
        object_pixels = labels > values[-1] // 2
        if _fits(np.count_nonzero(object_pixels), labels.size):
            yield object_pixels
        return
    for value in values[(values > 0) & _fits(counts, labels.size)]:
        segment = labels == value
        if _looks_like_an_object(segment):
            yield segment


def _is_mask(values: NDArray[np.int32], counts: NDArray[np.int64]) -> bool:
    """Return whether there is black and one colour, or black and white with soft edges between."""
    has_soft_edges = values[-1] == 255 and counts[-1] > counts[1:-1].sum()
    return bool(values[0] == 0 and (len(values) == 2 or has_soft_edges))


def _fits(area: Any, num_pixels: int) -> Any:
    """Return whether an area, or each of an array of areas, is neither too small nor too large."""
    return (area >= MIN_AREA * num_pixels) & (area <= MAX_AREA * num_pixels)


def _looks_like_an_object(segment: Segment) -> bool:
    return is_in_one_piece(segment) and not is_cut_off(segment)


def is_in_one_piece(segment: Segment) -> bool:
    """Return whether an object, bool (H, W) with at least one pixel, fills enough of its box."""
    rows, columns = bounding_box(segment)
    box = (rows.stop - rows.start) * (columns.stop - columns.start)
    return bool(np.count_nonzero(segment) >= _MIN_BOX_SHARE * box)


def is_cut_off(segment: Segment, *, margin: int = 1) -> bool:
    """Return whether an object, bool (H, W), seems to go on beyond the picture's edge.

    Args:
        segment: the object.
        margin: pixels beside the edge that count as the edge; outlines that a network predicts may
            end a little before it.
    """
    edges = (segment[:margin], segment[-margin:], segment[:, :margin].T, segment[:, -margin:].T)
    on_border = sum(np.count_nonzero(edge.any(axis=0)) for edge in edges)
    return bool(on_border > _MAX_BORDER_SHARE * math.sqrt(np.count_nonzero(segment)))


def bounding_box(segment: Segment) -> tuple[slice, slice]:
    rows = np.flatnonzero(segment.any(axis=1))
    columns = np.flatnonzero(segment.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
