"""One photo from mask to filled holes: planned, scaled, predicted, pasted; no network in here."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pconv_hpc.data.decode import ImageError
from pconv_hpc.erasing.holes import plan_crops
from pconv_hpc.erasing.outside_in import Tile, fill_from_outside
from pconv_hpc.erasing.photo import Box, Photo
from pconv_hpc.erasing.rim import continue_rim
from pconv_hpc.erasing.scaling import enlarge_photo, reduce_photo, reduced_shape
from pconv_hpc.errors import UsageError

Strategy = Literal["crop", "full", "resize"]
STRATEGIES: tuple[Strategy, ...] = ("crop", "full", "resize")
Detail = Literal["patches", "blended", "none"]

_CROPS_AT_ONCE = 16  # of one photo, to share batches; more would only take memory
_FULL_MULTIPLE = 64  # sides of whole photos are padded to it: fewer different shapes to trace

PhotoFilling = Generator[list[Tile], list[np.ndarray], None]


@dataclass(frozen=True, kw_only=True)
class FillSettings:
    """How holes are brought to the network.

    Attributes:
        strategy: ``crop``: each hole with its surroundings; ``full``: the whole photo in one pass;
            ``resize``: the whole photo at the working size.
        working_size: side of the square that the network is given, pixels.
        context: side of a crop as a multiple of its hole's longer side.
        max_reduction: how much a crop may be scaled down; a larger hole is filled in tiles.
        rim: over how many pixels, at the network's resolution, the continued surroundings fade into
            what the network made; see ``rim``.
        max_full_pixels: a larger photo is scaled down to that for ``full``, or memory runs out.
        detail: where fine detail comes from.
    """

    strategy: Strategy = "crop"
    working_size: int = 256
    context: float = 2.0
    max_reduction: float = 4.0
    rim: float = 6.0
    max_full_pixels: int = 1 << 20
    detail: Detail = "patches"

    def __post_init__(self) -> None:
        for holds, message in (
            (self.strategy in STRATEGIES, f"strategy must be one of {', '.join(STRATEGIES)}"),
            (8 <= self.working_size <= 4096, "working_size must be between 8 and 4096"),
            (1 <= self.context <= 100, "context must be between 1 and 100"),
            (1 <= self.max_reduction <= 1000, "max_reduction must be between 1 and 1000"),
            (0 <= self.rim <= 1000, "rim must be between 0 and 1000"),
            (self.max_full_pixels >= 64, "max_full_pixels must be at least 64"),
        ):
            if not holds:
                raise UsageError(message)


@dataclass(frozen=True)
class _Region:
    """A part of a photo that is filled by itself, and at which size."""

    box: Box
    own: np.ndarray  # bool (h, w): the hole pixels it fills
    shape: tuple[int, int]  # what it is scaled down to
    tile_shape: tuple[int, int]


def fill_photo(
    photo: Photo, hole: np.ndarray, settings: FillSettings, *, reach: int
) -> PhotoFilling:
    """Fill the holes of a photo, in place.

    A generator: it yields tiles for the network and wants their predictions, float32 (h, w, 3), in
    the same order; see ``outside_in``. Pixels outside ``hole`` are never written.

    Args:
        photo: changed where ``hole`` is true.
        hole: bool (H, W) of the upright photo, true = erase.
        settings: how.
        reach: how many pixels deep into a hole the network's output is defined.

    Raises:
        ImageError: the mask has another size, or covers the whole photo.
    """
    check_mask(photo, hole)
    fillings: list[PhotoFilling] = []
    for region in _regions(hole, settings):
        fillings.append(_fill_region(photo, hole, region, settings, reach))
        if len(fillings) == _CROPS_AT_ONCE:
            yield from side_by_side(fillings)
            fillings = []
    yield from side_by_side(fillings)


def check_mask(photo: Photo, hole: np.ndarray) -> None:
    """Raise ``ImageError`` if a mask (H, W) cannot be used on a photo."""
    if hole.shape != (photo.height, photo.width):
        turned = photo.pixels.shape[:2] == hole.shape
        hint = (
            "; it was drawn on the photo as stored, before its EXIF orientation" if turned else ""
        )
        raise ImageError(
            f"the mask is {hole.shape[1]} x {hole.shape[0]} and the photo {photo.width} x "
            f"{photo.height} pixels as displayed{hint}; expected equal sizes"
        )
    if hole.all():
        raise ImageError("the mask covers the whole photo; nothing is left to fill it from")


def side_by_side(fillings: Sequence[PhotoFilling]) -> PhotoFilling:
    """Run several generators of tiles together: what they want in one round is one list."""
    wanted = [(filling, tiles) for filling in fillings for tiles in _started(filling)]
    while wanted:
        outputs = iter((yield [tile for _, tiles in wanted for tile in tiles]))
        still_wanted = []
        for filling, tiles in wanted:
            try:
                still_wanted.append((filling, filling.send([next(outputs) for _ in tiles])))
            except StopIteration:
                continue
        wanted = still_wanted


def _started(filling: PhotoFilling) -> Iterator[list[Tile]]:
    """Yield what a generator wants first, if it wants anything."""
    try:
        yield next(filling)
    except StopIteration:
        return


def _regions(hole: np.ndarray, settings: FillSettings) -> Iterator[_Region]:
    if not hole.any():
        return
    working = (settings.working_size, settings.working_size)
    if settings.strategy == "crop":
        plan = plan_crops(hole, working_size=settings.working_size, context=settings.context)
        for crop in plan.crops:
            side = max(crop.box.height, crop.box.width)
            factor = min(max(1.0, side / settings.working_size), settings.max_reduction)
            shape = reduced_shape(crop.box.height, crop.box.width, factor)
            yield _Region(crop.box, plan.hole_of(crop, hole), shape, working)
        return
    height, width = hole.shape
    if settings.strategy == "resize":
        shape = reduced_shape(height, width, max(1.0, max(hole.shape) / settings.working_size))
        yield _Region(Box(0, 0, height, width), hole, shape, working)
        return
    factor = max(1.0, math.sqrt(height * width / settings.max_full_pixels))
    shape = reduced_shape(height, width, factor)
    tile_shape = (
        -(-shape[0] // _FULL_MULTIPLE) * _FULL_MULTIPLE,
        -(-shape[1] // _FULL_MULTIPLE) * _FULL_MULTIPLE,
    )
    yield _Region(Box(0, 0, height, width), hole, shape, tile_shape)


def _fill_region(
    photo: Photo, hole: np.ndarray, region: _Region, settings: FillSettings, reach: int
) -> PhotoFilling:
    reduced, valid = reduce_photo(
        photo.read_rgb(region.box), ~hole[region.box.slices], region.shape
    )
    output = yield from fill_from_outside(reduced, valid, tile_shape=region.tile_shape, reach=reach)
    filled = continue_rim(output, reduced, valid, settings.rim)
    # with its true surroundings, so that scaling up runs smoothly from them into the hole
    patch = np.where(valid[..., None], reduced, filled)
    photo.write_rgb(
        region.box, enlarge_photo(patch, (region.box.height, region.box.width)), region.own
    )
