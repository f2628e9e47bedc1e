"""Object silhouettes from any folder of mask PNGs, and holes in the shape of them.

Two kinds of PNG are understood: masks (black, and white where the object is, soft edges allowed)
and label maps, where each distinct value or colour is one segment and 0 is none, such as the
panoptic PNGs of COCO or the instance PNGs of VOC, Cityscapes and ADE20K.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pconv_hpc.data.mask_shapes import Region, Shape
from pconv_hpc.data.sampler import Stream, sample_hash
from pconv_hpc.errors import UsageError

_MAX_PIXELS = 64_000_000
_MAX_OBJECTS = 1024  # plenty of variety for a bank, and little memory
_MAX_OBJECTS_PER_FILE = 8
_MAX_SIDE = 256  # stored silhouettes are scaled down to this

_MIN_AREA, _MAX_AREA = 0.003, 0.5  # of the picture; smaller ones have no shape, larger no outside
_MIN_BOX_SHARE = 0.2  # of its bounding box: below it a label is scattered pieces, not an object
_MAX_BORDER_SHARE = 0.25  # of the square root of its area: above it the picture's edge cut it off

_LABEL_MODES = ("1", "L", "P", "I;16", "I", "LA", "RGB", "RGBA")


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read a PNG as labels without any colour conversion: int64 (H, W), colours as 24-bit numbers.

    Raises:
        UsageError: no PNG, damaged, of an unknown kind, or of more than 64 million pixels.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise UsageError(
                    f"{path}: {image.width} x {image.height} pixels; a mask may have at most "
                    f"{_MAX_PIXELS:,}"
                )
            if image.mode not in _LABEL_MODES:
                raise UsageError(
                    f"{path}: a PNG of mode {image.mode}; expected gray, RGB or palette"
                )
            pixels = np.asarray(image).astype(np.int64)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        kind = "no PNG image" if isinstance(error, UnidentifiedImageError) else "damaged"
        raise UsageError(f"{path}: {kind} ({error}); repair or remove it") from error
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 2:
        return pixels[..., 0]
    if np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(
        pixels[..., 0], pixels[..., 2]
    ):
        return pixels[..., 0]
    return pixels[..., :3] @ np.array([1 << 16, 1 << 8, 1])


def _segments(labels: NDArray[np.int64]) -> Iterator[Shape]:
    """Yield the objects of one PNG: its white part if it is a mask, else each fitting label."""
    values, counts = np.unique(labels, return_counts=True)
    extremes = np.isin(values, (0, 255))
    if len(values) == 2 and values[0] == 0:
        yield labels > 0
    elif values[-1] <= 255 and counts[extremes].sum() > 0.9 * labels.size and extremes.sum() == 2:
        yield labels > 127
    else:
        for value in values[np.argsort(-counts, kind="stable")]:
            segment = labels == value
            if value != 0 and _looks_like_an_object(segment):
                yield segment


def _looks_like_an_object(segment: Shape) -> bool:
    rows, columns = _bounding_box(segment)
    area = np.count_nonzero(segment)
    box = (rows.stop - rows.start) * (columns.stop - columns.start)
    edges = (segment[0], segment[-1], segment[:, 0], segment[:, -1])
    on_border = sum(np.count_nonzero(edge) for edge in edges)
    return area >= _MIN_BOX_SHARE * box and on_border <= _MAX_BORDER_SHARE * math.sqrt(area)


def _bounding_box(segment: Shape) -> tuple[slice, slice]:
    rows = np.flatnonzero(segment.any(axis=1))
    columns = np.flatnonzero(segment.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def dilate(shape: Shape, radius: int) -> Shape:
    """Dilate with a disk: the result is ``radius`` pixels larger to each side of both axes."""
    height, width = shape.shape
    result = np.zeros((height + 2 * radius, width + 2 * radius), np.bool_)
    spread = np.pad(shape, ((0, 0), (radius, radius)))  # dilated along the row, ever wider
    reach = 0
    for dy in range(radius, -1, -1):
        while (reach + 1) ** 2 + dy**2 <= radius**2:
            reach += 1
            spread[:, radius - reach : radius - reach + width] |= shape
            spread[:, radius + reach : radius + reach + width] |= shape
        result[radius - dy : radius - dy + height] |= spread
        result[radius + dy : radius + dy + height] |= spread
    return result


def _resize(shape: Shape, height: int, width: int) -> Shape:
    image = Image.fromarray(shape.astype(np.uint8) * 255)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)) > 127


class Silhouettes:
    """A set of object outlines, each a bool array (h, w) cropped to the object.

    Build it with :meth:`from_folder`. It pickles, so that worker processes share one reading.
    """

    def __init__(self, shapes: list[Shape]) -> None:
        self._shapes = shapes

    def __len__(self) -> int:
        return len(self._shapes)

    @classmethod
    def from_folder(cls, folder: Path, *, seed: int) -> "Silhouettes":
        """Read up to 1,024 objects from the PNGs in ``folder`` and its subfolders.

        Where there are more, the seed chooses among the files. Objects of 0.3% to 50% of their
        picture are taken; in label maps, only those that are mostly in one piece and not cut off
        by the picture's edge, as grounds and skies are.

        Raises:
            UsageError: no folder, no PNG in it, an unreadable one, or no fitting object in any.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; expected one with mask PNGs")
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".png")
        if not paths:
            raise UsageError(f"{folder}: holds no PNG; expected masks with white objects")
        keys = sample_hash(seed, 0, np.arange(len(paths)), Stream.OBJECT_FILES)
        shapes: list[Shape] = []
        for place in np.argsort(keys, kind="stable"):
            shapes += _objects_of(paths[place])
            if len(shapes) >= _MAX_OBJECTS:
                break
        if not shapes:
            raise UsageError(
                f"{folder}: none of its {len(paths)} PNGs has an object of 0.3% to 50% of the "
                "picture; expected masks with white objects, or label maps"
            )
        return cls(shapes[:_MAX_OBJECTS])

    def fingerprint(self) -> str:
        """Return a SHA-256, in hexadecimal, of all outlines in their order."""
        digest = hashlib.sha256()
        for shape in self._shapes:
            digest.update(f"{shape.shape}".encode() + np.packbits(shape).tobytes())
        return digest.hexdigest()

    def draw(self, rng: np.random.Generator, region: Region, area: float) -> Shape:
        """Draw one object of about ``area`` pixels: bool (S, S), True where the hole is.

        It is mirrored, rotated by up to 15 degrees, scaled, dilated by 1% to 6% of its size and
        placed at random. Beside the border it may be cut off, its centre stays in the image.
        """
        shape = self._shapes[rng.integers(len(self._shapes))]
        if rng.random() < 0.5:
            shape = shape[:, ::-1]
        upright = Image.fromarray(shape.astype(np.uint8) * 255)
        angle = rng.uniform(-15, 15)
        turned = np.asarray(upright.rotate(angle, Image.Resampling.BILINEAR, expand=True)) > 127
        turned = turned[_bounding_box(turned)] if turned.any() else shape

        share = rng.uniform(0.01, 0.06)
        room = region.size if region.touches_border else region.high - region.low
        scale = math.sqrt(area / np.count_nonzero(turned)) * (1 - 2 * share)
        if not region.touches_border:
            scale = min(scale, room / (1 + 2 * share) / max(turned.shape))
        height, width = (max(1, round(side * scale)) for side in turned.shape)
        height, width = min(height, 2 * room), min(width, 2 * room)
        radius = math.ceil(share * math.sqrt(height * width))
        return _place(dilate(_resize(turned, height, width), radius), rng, region)


def _objects_of(path: Path) -> list[Shape]:
    labels = read_labels(path)
    found: list[Shape] = []
    for segment in _segments(labels):
        if not _MIN_AREA <= np.count_nonzero(segment) / segment.size <= _MAX_AREA:
            continue
        shape = segment[_bounding_box(segment)]
        scale = min(1.0, _MAX_SIDE / max(shape.shape))
        if scale < 1:
            shape = _resize(shape, *(max(1, round(side * scale)) for side in shape.shape))
        if shape.any():
            found.append(np.ascontiguousarray(shape))
        if len(found) == _MAX_OBJECTS_PER_FILE:
            break
    return found


def _place(shape: Shape, rng: np.random.Generator, region: Region) -> Shape:
    """Put a shape at a random place of the region; what lies outside the image is cut off."""
    result = np.zeros((region.size, region.size), np.bool_)
    starts = []
    for side in shape.shape:
        if region.touches_border:
            starts.append(int(rng.integers(0, region.size)) - side // 2)
        else:
            starts.append(int(rng.integers(region.low, max(region.high - side, region.low) + 1)))
    top, left = starts
    rows = slice(max(top, 0), min(top + shape.shape[0], region.high))
    columns = slice(max(left, 0), min(left + shape.shape[1], region.high))
    result[rows, columns] = shape[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return result
