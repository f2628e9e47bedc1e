"""One photo from mask to filled holes: planned, scaled, predicted, given texture, pasted.

No network in here: what it is to predict is yielded.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pconv_hpc.inpainting.cells import plan_cells
from pconv_hpc.inpainting.detail import Detail, add_detail
from pconv_hpc.inpainting.holes import depth_in, plan_crops
from pconv_hpc.inpainting.outside_in import Tile, fill_from_outside
from pconv_hpc.inpainting.rim import continue_rim
from pconv_hpc.inpainting.scaling import enlarge_photo, reduce_photo, reduced_shape
from pconv_hpc.inpainting.settings import FillSettings
from pconv_hpc.inpainting.sources import patch_source
from pconv_hpc.photos.decode import ImageError
from pconv_hpc.photos.photo import Box, Photo

_CROPS_AT_ONCE = 16  # of one photo, to share batches; more would only take memory
_FULL_MULTIPLE = 64  # sides of whole photos are padded to it: fewer different shapes to trace
# Holes up to this depth, as a multiple of the network's reach, are filled better at their own scale
# than scaled down; deeper ones are scaled down to it (docs/reference/quality.md).
_FULL_SCALE_REACHES = 4 / 3
_MAX_CROP_PIXELS = 6 << 20  # what a network is shown of one crop; more takes minutes on a core
# Tiles may be this much larger than the working size: one pass instead of several that overlap.
_TILE_GROWTH = (1.0, 1.5, 2.0)

PhotoFilling = Generator[list[Tile], list[np.ndarray], None]


@dataclass(frozen=True)
class _Region:
    """A part of a photo that is filled by itself, and at which size."""

    box: Box
    own: np.ndarray  # bool (h, w): the hole pixels it fills
    shape: tuple[int, int]  # what it is scaled down to
    tile_shape: tuple[int, int]

    @property
    def scale(self) -> float:
        """How much it is scaled down."""
        return max(self.box.height / self.shape[0], self.box.width / self.shape[1])


def fill_photo(
    photo: Photo,
    hole: np.ndarray,
    settings: FillSettings,
    *,
    reach: int,
    kept: np.ndarray | None = None,
) -> PhotoFilling:
    """Fill the holes of a photo, in place.

    A generator: it yields tiles for the network and wants their predictions, float32 (h, w, 3), in
    the same order; see ``outside_in``. Pixels outside ``hole`` are never written.

    Args:
        photo: changed where ``hole`` is true.
        hole: bool (H, W) of the upright photo, true = erase.
        settings: how.
        reach: how many pixels deep into a hole the network's output is defined.
        kept: bool (H, W), objects that no texture is to be taken from; see ``patch_source``.

    Raises:
        ImageError: the mask has another size, or covers the whole photo.
    """
    check_mask(photo, hole)
    fillings: list[PhotoFilling] = []
    for region in _regions(hole, settings, reach):
        fillings.append(_fill_region(photo, hole, kept, region, settings, reach))
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


def _regions(hole: np.ndarray, settings: FillSettings, reach: int) -> Iterator[_Region]:
    if not hole.any():
        return
    if settings.strategy == "crop":
        plan = plan_crops(hole, working_size=settings.side, context=settings.context)
        for crop in plan.crops:
            own = plan.hole_of(crop, hole)
            shape = _scaled_for_depth(own, reach, settings.max_reduction)
            yield _Region(crop.box, own, shape, _tile_shape(shape, settings.side))
        return
    working = (settings.side, settings.side)
    height, width = hole.shape
    if settings.strategy == "resize":
        shape = reduced_shape(height, width, max(1.0, max(hole.shape) / settings.side))
        yield _Region(Box(0, 0, height, width), hole, shape, working)
        return
    factor = max(1.0, math.sqrt(height * width / settings.max_full_pixels))
    shape = reduced_shape(height, width, factor)
    tile_shape = (
        -(-shape[0] // _FULL_MULTIPLE) * _FULL_MULTIPLE,
        -(-shape[1] // _FULL_MULTIPLE) * _FULL_MULTIPLE,
    )
    yield _Region(Box(0, 0, height, width), hole, shape, tile_shape)


def _scaled_for_depth(hole: np.ndarray, reach: int, max_reduction: float) -> tuple[int, int]:
    """Return the size at which a network fills the hole of a crop, bool (h, w), best."""
    by_depth = float(depth_in(hole).max()) / (_FULL_SCALE_REACHES * reach)
    by_size = math.sqrt(hole.size / _MAX_CROP_PIXELS)
    factor = min(max(1.0, by_depth, by_size), max_reduction)
    return reduced_shape(hole.shape[0], hole.shape[1], factor)


def _tile_shape(shape: tuple[int, int], working_size: int) -> tuple[int, int]:
    """Return the smallest square that holds all of a picture, or else the largest there is."""
    sides = [int(working_size * growth) for growth in _TILE_GROWTH]
    side = next((side for side in sides if side >= max(shape)), sides[-1])
    return side, side


def _fill_region(
    photo: Photo,
    hole: np.ndarray,
    kept: np.ndarray | None,
    region: _Region,
    settings: FillSettings,
    reach: int,
) -> PhotoFilling:
    reduced, valid = reduce_photo(
        photo.read_rgb(region.box), ~hole[region.box.slices], region.shape
    )
    output = yield from fill_from_outside(reduced, valid, tile_shape=region.tile_shape, reach=reach)
    filled = continue_rim(output, reduced, valid, settings.rim)
    # with its true surroundings, so that scaling up runs smoothly from them into the hole
    structure = np.where(valid[..., None], reduced, filled)
    if settings.detail == "none":
        enlarged = enlarge_photo(structure, (region.box.height, region.box.width))
        photo.write_rgb(region.box, enlarged, region.own)
    else:
        _add_detail(photo, hole, kept, region, structure, settings.detail)


def _add_detail(
    photo: Photo,
    hole: np.ndarray,
    kept: np.ndarray | None,
    region: _Region,
    structure: np.ndarray,
    detail: Detail,
) -> None:
    """Write a region's hole with texture, cell by cell.

    Args:
        photo: changed where the region's hole is.
        hole: bool (H, W), all holes of the photo.
        kept: bool (H, W), objects that no texture is taken from.
        region: whose hole is filled.
        structure: float32 (h, w, 3), what the network made of it, at the network's scale.
        detail: how.
    """
    filled = np.zeros_like(region.own)
    for cell in plan_cells(region.own, region.box, hole):
        part = cell.of(region.own, region.box)
        shared = region.box.intersection(cell.box)
        in_region, in_cell = shared.relative_to(region.box), shared.relative_to(cell.box)
        valid = ~hole[cell.box.slices]
        known = valid.copy()
        known[in_cell.slices] |= filled[in_region.slices]
        rgb = photo.read_rgb(cell.box)
        picture = np.where(known[..., None], rgb, np.float32(0))
        picture[in_cell.slices] = enlarge_photo(structure, region.own.shape, in_region)
        result = add_detail(
            rgb,
            picture,
            part,
            known=known,
            valid=valid,
            source=known if kept is None else patch_source(known, part, kept[cell.box.slices]),
            detail=detail,
            scale=region.scale,
        )
        photo.write_rgb(cell.box, result, part)
        filled[in_region.slices] |= part[in_cell.slices]
