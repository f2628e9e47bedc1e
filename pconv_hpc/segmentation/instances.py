"""The objects found in a photo, and the JSON file they are kept in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from pconv_hpc.foundation.atomic import write_text
from pconv_hpc.foundation.errors import UsageError

_MAX_PIXELS = 1 << 31
_MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True)
class Instance:
    """One object of an upright photo of ``height`` × ``width`` pixels.

    Attributes:
        class_name: one of the network's classes.
        score: the network's confidence, 0 to 1.
        box: (x0, y0, x1, y1) in pixels.
        height: of the photo.
        width: of the photo.
        counts: COCO's compressed run lengths of the mask.
    """

    class_name: str
    score: float
    box: tuple[float, float, float, float]
    height: int
    width: int
    counts: str

    @property
    def mask(self) -> np.ndarray:
        """bool (height, width), true on the object; decoded at every access."""
        return coco_mask.decode(self._rle()).astype(bool)

    @property
    def area(self) -> int:
        """The number of pixels of the mask."""
        return int(coco_mask.area(self._rle()))

    @property
    def mask_box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) around the mask, the ends exclusive; all 0 for an empty mask."""
        x, y, width, height = (int(value) for value in coco_mask.toBbox(self._rle()))
        return x, y, x + width, y + height

    def _rle(self) -> dict[str, Any]:
        return {"size": [self.height, self.width], "counts": self.counts.encode()}


def encode_mask(mask: np.ndarray, top: int, left: int, height: int, width: int) -> str:
    """Return COCO's compressed run lengths of a mask that is part of a picture.

    Only the part is looked at, so that a small object in a large photo costs little.

    Args:
        mask: bool (h, w), what lies around it is false.
        top: the row of the picture where the part begins.
        left: its column.
        height: of the picture.
        width: of the picture.
    """
    # COCO counts down the columns. Rows of false around the part make every run end in its column.
    columns = np.zeros((mask.shape[1], mask.shape[0] + 2), dtype=np.int8)
    columns[:, 1:-1] = mask.T
    column, row = np.nonzero(np.diff(columns, axis=1))
    borders = (left + column) * height + top + row
    # A run that touches the bottom goes on at the top of the next column: one run, not two.
    touching = np.flatnonzero(borders[1:-1:2] == borders[2::2]) * 2 + 1
    borders = np.delete(borders, np.concatenate([touching, touching + 1]))
    ends = np.unique(np.append(borders, height * width))  # a last run of no pixels is left out
    counts = np.diff(ends, prepend=0)
    rle = coco_mask.frPyObjects({"counts": counts.tolist(), "size": [height, width]}, height, width)
    return rle["counts"].decode()


@dataclass(frozen=True, kw_only=True)
class PhotoInstances:
    """What was found in one photo and what was selected of it: the content of its JSON file.

    Attributes:
        image: the photo's path relative to its folder, with ``/``.
        width: of the upright photo.
        height: of the upright photo.
        num_bytes: the size of the photo's file, or a packed photo's CRC-32, by which a changed
            photo is noticed.
        model: the network and its weights, as ``Segmenter.description``.
        precision: in which it computed; empty where that is not known.
        min_score: instances below were not recorded.
        instances: by falling score; people call them 1, 2, 3 and so on.
        selection: what the mask was made by, as text; ``None`` if nothing was asked for.
        selected: indices into ``instances`` of what the mask covers.
    """

    image: str
    width: int
    height: int
    num_bytes: int
    model: str
    min_score: float
    instances: tuple[Instance, ...]
    precision: str = ""
    selection: str | None = None
    selected: tuple[int, ...] = ()


def write_instances(path: Path, found: PhotoInstances) -> None:
    """Write the JSON file of a photo; it appears whole or not at all."""
    value = {
        "image": found.image,
        "width": found.width,
        "height": found.height,
        "num_bytes": found.num_bytes,
        "model": found.model,
        "precision": found.precision,
        "min_score": found.min_score,
        "selection": found.selection,
        "selected": [index + 1 for index in found.selected],
        "instances": [
            {
                "number": number,
                "class": instance.class_name,
                "score": round(instance.score, 4),
                "box": [round(end, 1) for end in instance.box],
                "area": instance.area,
                "mask": {"size": [instance.height, instance.width], "counts": instance.counts},
            }
            for number, instance in enumerate(found.instances, start=1)
        ],
    }
    write_text(path, json.dumps(value) + "\n", durable=False)


def read_instances(path: Path) -> PhotoInstances:
    """Read what ``write_instances`` wrote, trusting nothing in it.

    Raises:
        UsageError: the file is missing, damaged or not of this kind.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(_MAX_FILE_BYTES)  # a longer file is cut, and so no JSON
        return _parse(json.loads(content))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{path}: not a file of instances as pconv-hpc segment writes it ({reason}); remove "
            "it, and it is made again"
        ) from error


def _parse(value: Mapping[str, Any]) -> PhotoInstances:
    width, height = _whole(value["width"]), _whole(value["height"])
    if width * height > _MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels")
    instances = tuple(_parse_instance(entry, height, width) for entry in value["instances"])
    selected = tuple(_whole(number) - 1 for number in value["selected"])
    if any(index >= len(instances) for index in selected):
        raise ValueError("more is selected than was found")
    selection = value["selection"]
    return PhotoInstances(
        image=_text(value["image"]),
        width=width,
        height=height,
        num_bytes=int(value["num_bytes"]),
        model=_text(value["model"]),
        precision=_text(value.get("precision", "")),
        min_score=float(value["min_score"]),
        instances=instances,
        selection=None if selection is None else _text(selection),
        selected=selected,
    )


def _parse_instance(entry: Mapping[str, Any], height: int, width: int) -> Instance:
    counts = _text(entry["mask"]["counts"])
    _check_counts(counts, height * width)
    return Instance(
        class_name=_text(entry["class"]),
        score=float(entry["score"]),
        box=_four(entry["box"]),
        height=height,
        width=width,
        counts=counts,
    )


def _check_counts(counts: str, num_pixels: int) -> None:
    """Check run lengths before pycocotools, whose code is C, is given them."""
    if num_pixels and not counts:
        raise ValueError("a mask without run lengths")
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode("ascii"):
        digit = character - 48
        if not 0 <= digit < 64 or shift > 30:
            raise ValueError("damaged run lengths")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:  # more digits follow
            continue
        if digit & 16:  # the sign
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if not 0 <= runs[-1] <= num_pixels:
            raise ValueError("damaged run lengths")
        value = shift = 0
    if shift or sum(runs) != num_pixels:
        raise ValueError("run lengths of another size")


def _whole(value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a whole number of at least 1, found {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}")
    return value


def _four(values: Sequence[Any]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1
