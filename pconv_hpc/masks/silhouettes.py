"""Object silhouettes out of mask PNGs or a silhouette file, and holes in the shape of them."""

import hashlib
import math
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.masks.label_maps import bounding_box, object_segments, read_labels
from pconv_hpc.masks.mask_shapes import Region, Shape
from pconv_hpc.masks.silhouette_file import SilhouetteFile

_MAX_OBJECTS = 1024  # plenty of variety for a bank, and little memory
_MAX_OBJECTS_PER_FILE = 8
_MAX_SIDE = 256  # stored silhouettes are scaled down to this


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


def scale_to_fit(shape: Shape, max_side: int) -> Shape:
    """Return an outline scaled down so that no side is above ``max_side``; nothing may be left."""
    scale = min(1.0, max_side / max(shape.shape))
    if scale == 1:
        return shape
    height, width = (max(1, round(side * scale)) for side in shape.shape)
    return _resize(shape, height, width)


class Silhouettes:
    """A set of object outlines, each a bool array (h, w) cropped to the object.

    Build it with :meth:`from_path`. It pickles, so that worker processes share one reading.
    """

    def __init__(self, shapes: list[Shape]) -> None:
        self._shapes = shapes

    def __len__(self) -> int:
        return len(self._shapes)

    @classmethod
    def from_path(cls, path: Path, *, seed: int) -> "Silhouettes":
        """Read up to 1,024 objects from a silhouette file or a folder of mask PNGs.

        Raises:
            UsageError: there is neither, or it cannot be used.
        """
        path = Path(path)
        if path.is_dir():
            return cls.from_folder(path, seed=seed)
        if not path.is_file():
            raise UsageError(
                f"{path}: no such file or folder; expected a silhouette file of "
                "pconv-hpc harvest, or a folder with mask PNGs"
            )
        return cls.from_file(path, seed=seed)

    @classmethod
    def from_file(cls, path: Path, *, seed: int) -> "Silhouettes":
        """Read up to 1,024 objects from a silhouette file; of more the seed chooses.

        Raises:
            UsageError: it is no silhouette file, or is damaged.
        """
        file = SilhouetteFile(path)
        keys = sample_hash(seed, 0, np.arange(file.num_silhouettes), Stream.OBJECT_FILES)
        chosen = np.argsort(keys, kind="stable")[:_MAX_OBJECTS]
        shapes = (scale_to_fit(file.shape(int(index)), _MAX_SIDE) for index in chosen)
        return cls([shape for shape in shapes if shape.any()])

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
        """Draw one object of about ``area`` pixels: bool (H, W), True where the hole is.

        It is mirrored, rotated by up to 15 degrees, scaled, dilated by 1% to 6% of its size and
        placed at random. Beside the border it may be cut off, its centre stays in the image.
        """
        shape = self._shapes[rng.integers(len(self._shapes))]
        if rng.random() < 0.5:
            shape = shape[:, ::-1]
        upright = Image.fromarray(shape.astype(np.uint8) * 255)
        angle = rng.uniform(-15, 15)
        turned = np.asarray(upright.rotate(angle, Image.Resampling.BILINEAR, expand=True)) > 127
        turned = turned[bounding_box(turned)] if turned.any() else shape

        share = rng.uniform(0.01, 0.06)
        longest = 2.0 if region.touches_border else 1 / (1 + 2 * share)
        scale = min(
            math.sqrt(area / np.count_nonzero(turned)) * (1 - 2 * share),  # dilation adds the rest
            *(
                longest * (side - 2 * region.margin) / own
                for side, own in zip(region.shape, turned.shape, strict=True)
            ),
        )
        height, width = (max(1, round(side * scale)) for side in turned.shape)
        radius = math.ceil(share * math.sqrt(height * width))
        return _place(dilate(_resize(turned, height, width), radius), rng, region)


def _objects_of(path: Path) -> list[Shape]:
    labels = read_labels(path)
    found: list[Shape] = []
    for segment in object_segments(labels):
        shape = scale_to_fit(segment[bounding_box(segment)], _MAX_SIDE)
        if shape.any():
            found.append(np.ascontiguousarray(shape))
        if len(found) == _MAX_OBJECTS_PER_FILE:
            break
    return found


def _place(shape: Shape, rng: np.random.Generator, region: Region) -> Shape:
    """Put a shape at a random place of the region; what lies outside the image is cut off."""
    result = np.zeros(region.shape, np.bool_)
    starts = []
    for side, room in zip(shape.shape, region.shape, strict=True):
        if region.touches_border:
            starts.append(int(rng.integers(0, room)) - side // 2)
        else:
            last = max(room - region.margin - side, region.margin)
            starts.append(int(rng.integers(region.margin, last + 1)))
    top, left = starts
    rows = slice(max(top, 0), min(top + shape.shape[0], region.inside[0].stop))
    columns = slice(max(left, 0), min(left + shape.shape[1], region.inside[1].stop))
    result[rows, columns] = shape[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return result
