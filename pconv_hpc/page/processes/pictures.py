"""The process that looks at photos for the page: decoding, tiles, objects' outlines, masks, saving.

No network is in it. Files from anywhere are read here, so that one that breaks a decoder ends this
process, which is started again, and not the server.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from pconv_hpc.foundation.atomic import remove_unfinished, write_bytes
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.processes.edits import edited_pixels, parse_edit
from pconv_hpc.page.processes.listings import Listing
from pconv_hpc.page.processes.pyramids import TILE_SIZE, Cache, Pyramid, mask_tile, num_levels
from pconv_hpc.page.processes.worker_loop import serve_object
from pconv_hpc.photos.decode import (
    DEFAULT_MAX_PIXELS,
    decode_reduced,
    decode_rgb,
    open_image,
    upright_size,
)
from pconv_hpc.photos.formats.photo_files import Mask, read_mask
from pconv_hpc.photos.mask_values import ERASED
from pconv_hpc.segmentation.instances import Instance, PhotoInstances, read_instances
from pconv_hpc.segmentation.selection import Selection, select

_QUALITY = 85  # of small pictures
_COARSE_LEVEL = 3  # a JPEG is decoded at an eighth of its size in a fraction of the time
_LARGE_PIXELS = 4_000_000
_OUTLINE_POINTS = 1500  # an outline's deviation is the photo's longer side by this


@dataclass(frozen=True)
class _Header:
    """What the beginning of a photo's file says of the upright photo."""

    width: int
    height: int
    format: str
    mode: str


class Pictures:
    """What the server may ask this process for; photos are named by their paths.

    Args:
        max_pixels: larger photos are refused before they are decoded; ``None``: the commands'
            own limit.
    """

    def __init__(self, *, max_pixels: int | None) -> None:
        self._max_pixels = max_pixels or DEFAULT_MAX_PIXELS
        self._photos: Cache[Pyramid] = Cache(lambda pyramid: pyramid.num_bytes)
        self._listings: dict[str, Listing] = {}
        self._headers: Cache[_Header] = Cache(lambda header: 1, max_bytes=1000)
        self._found: Cache[PhotoInstances] = Cache(lambda found: 1, max_bytes=64)
        self._masks: Cache[np.ndarray] = Cache(lambda pixels: pixels.nbytes)

    def list_photos(self, folder: str, left_out: str, first: int, count: int) -> dict[str, Any]:
        """Return some of the photos in a folder; see ``Listing.part``."""
        if folder not in self._listings:
            self._listings[folder] = Listing(Path(folder), Path(left_out) if left_out else None)
        return self._listings[folder].part(first, count)

    def describe(self, path: str) -> dict[str, Any]:
        """Return what a person wants to know of a photo before it is decoded."""
        header = self._header(path)
        return {
            "width": header.width,
            "height": header.height,
            "format": header.format,
            "mode": header.mode,
            "bytes": Path(path).stat().st_size,
            "version": _version(path),
            "levels": num_levels(header.height, header.width),
            "tile": TILE_SIZE,
        }

    def tile(self, path: str, level: int, column: int, row: int) -> bytes:
        """Return a tile of a photo, a JPEG."""
        return self._pyramid(path, level).tile(level, column, row)

    def thumbnail(self, path: str, side: int) -> bytes:
        """Return a small picture of a photo, a JPEG."""
        header = self._header(path)
        level = max(0, (max(header.width, header.height) // side).bit_length() - 1)
        rgb = decode_reduced(Path(path), level, max_pixels=self._max_pixels)
        image = Image.fromarray(rgb)
        image.thumbnail((side, side))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()

    def objects(self, instances: str) -> dict[str, Any]:
        """Return what a file of instances holds: objects with outlines, and which are selected."""
        found = self._instances(instances)
        objects = [
            {
                "class": instance.class_name,
                "score": round(instance.score, 3),
                "box": [round(end, 1) for end in instance.box],
                "area": instance.area,
                "outlines": _outlines(instance),
            }
            for instance in found.instances
        ]
        return {"objects": objects, "selected": list(found.selected)}

    def pick(self, instances: str, x: float, y: float, min_score: float) -> int:
        """Return the index of the object that a click means, as ``--click`` chooses it."""
        found = self._instances(instances)
        selection = Selection(clicks=((float(x), float(y)),), min_score=float(min_score))
        chosen = select(found.instances, selection, height=found.height, width=found.width)
        return chosen[0]

    def compose(
        self, path: str, edit: dict[str, Any], instances: str, upload: str
    ) -> dict[str, Any]:
        """Make the mask that an edit describes; return how many pixels it covers."""
        pixels = self._mask(path, edit, instances, upload)
        return {"area": int(np.count_nonzero(pixels == ERASED))}

    def mask_tile(
        self,
        path: str,
        edit: dict[str, Any],
        instances: str,
        upload: str,
        *,
        level: int,
        column: int,
        row: int,
    ) -> bytes:
        """Return a tile of the mask that an edit describes, a PNG to lay over the photo's."""
        return mask_tile(self._mask(path, edit, instances, upload), level, column, row)

    def mask_file(self, path: str, edit: dict[str, Any], instances: str, upload: str) -> bytes:
        """Return the mask that an edit describes as a PNG, as ``pconv-hpc segment`` writes it."""
        stream = io.BytesIO()
        Image.fromarray(self._mask(path, edit, instances, upload)).save(stream, "PNG")
        return stream.getvalue()

    def write_mask(
        self, path: str, edit: dict[str, Any], instances: str, upload: str, target: str
    ) -> None:
        """Write the mask that an edit describes to a file."""
        data = self.mask_file(path, edit, instances, upload)
        write_bytes(Path(target), data, durable=False)

    def check_upload(self, upload: str) -> dict[str, Any]:
        """Read an uploaded mask; return its size and how much it covers."""
        mask = self._upload(upload)
        height, width = mask.hole.shape
        return {"width": width, "height": height, "area": int(mask.hole.sum())}

    def save(self, result: str, photo: str, target: str, *, overwrite: bool) -> bool:
        """Copy a result's bytes to where they are kept; they appear whole or not at all.

        Returns:
            False, and nothing is done, where something is there and ``overwrite`` is false.

        Raises:
            UsageError: the photo itself is there.
        """
        path = Path(target)
        if path.exists():
            if path.samefile(photo):
                raise UsageError(f"{path}: is the photo itself; start with --out of another folder")
            if not overwrite:
                return False
        data = Path(result).read_bytes()
        with writing_results(path):
            remove_unfinished([path])
            write_bytes(path, data)
        return True

    def _pyramid(self, path: str, level: int) -> Pyramid:
        """Return a photo's pyramid; of a large JPEG, for coarse levels, one that begins at them."""
        header = self._header(path)
        is_large = header.width * header.height > _LARGE_PIXELS
        is_coarse = header.format == "JPEG" and is_large and level >= _COARSE_LEVEL
        lowest = _COARSE_LEVEL if is_coarse else 0

        def read() -> Pyramid:
            if not lowest:
                return Pyramid(decode_rgb(Path(path), max_pixels=self._max_pixels))
            rgb = decode_reduced(Path(path), lowest, max_pixels=self._max_pixels)
            return Pyramid(rgb, lowest)

        return self._photos.get(f"{path}\0{_version(path)}\0{lowest}", read)

    def _header(self, path: str) -> _Header:
        def read() -> _Header:
            with open_image(Path(path), self._max_pixels) as image:
                return _Header(*upright_size(image), image.format or "", image.mode)

        return self._headers.get(f"{path}\0{_version(path)}", read)

    def _instances(self, path: str) -> PhotoInstances:
        return self._found.get(f"{path}\0{_version(path)}", lambda: read_instances(Path(path)))

    def _upload(self, path: str) -> Mask:
        return read_mask(Path(path), max_pixels=self._max_pixels)

    def _mask(self, path: str, edit: dict[str, Any], instances: str, upload: str) -> np.ndarray:
        parsed = parse_edit(edit)
        objects: tuple[Instance, ...] = ()
        versions = [_version(path)]
        if instances:
            objects = self._instances(instances).instances
            versions.append(_version(instances))
        key = json.dumps([path, edit, upload, versions], sort_keys=True)

        def make() -> np.ndarray:
            header = self._header(path)
            under = self._upload(upload) if upload else None
            return edited_pixels(parsed, objects, under, height=header.height, width=header.width)

        return self._masks.get(hashlib.sha256(key.encode()).hexdigest(), make)


def _version(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    text = f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _outlines(instance: Instance) -> list[list[float]]:
    """Return the contours around an object as x, y, x, y, … in pixels."""
    x0, y0, x1, y1 = instance.mask_box
    part = np.pad(instance.mask[y0:y1, x0:x1].astype(np.uint8), 1)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    deviation = max(0.5, max(instance.height, instance.width) / _OUTLINE_POINTS)
    corner = np.array([x0 - 0.5, y0 - 0.5])  # without the border; a pixel's centre has halves
    outlines = []
    for contour in contours:
        simple = cv2.approxPolyDP(contour, deviation, True).reshape(-1, 2)
        if len(simple) > 2:
            outlines.append((simple + corner).ravel().tolist())
    return outlines


if __name__ == "__main__":
    serve_object(Pictures)
