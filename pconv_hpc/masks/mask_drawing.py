"""Irregular masks of a wanted hole ratio: strokes, boxes or object silhouettes.

Liu et al. (ECCV 2018, section 4.1) train and test on masks in six bins of the hole-to-image ratio,
(0.01, 0.1], (0.1, 0.2], ... (0.5, 0.6], half of them with holes that keep 50 of 512 pixels clear of
the border. Their masks come from occlusions between video frames; brush strokes, lines and ellipses
have the same look. Boxes and object silhouettes are ours: a network that is to erase objects has to
see holes in the shape of objects.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.seeded import Stream, sample_hash
from pconv_hpc.masks.mask_shapes import Region, Shape, draw_box, draw_stroke
from pconv_hpc.masks.silhouettes import Silhouettes

ShapeDrawer = Callable[[np.random.Generator, Region, float], Shape]

STYLES = ("strokes", "boxes", "objects")
BIN_EDGES = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # bin b: above edge b, up to edge b + 1
NUM_BINS = len(BIN_EDGES) - 1
MIN_SIZE, MAX_SIZE = 16, 8192

_BORDER_MARGIN = 50 / 512  # of the shorter side; the paper's
# Few large things cannot fill much more of what the margin leaves (65% of the image).
_LAST_BIN_WITH_MARGIN = {"strokes": 5, "boxes": 3, "objects": 2}
_MAX_SHAPES = {"strokes": 400, "boxes": 4, "objects": 8}
_MAX_TRIES = 200
_SHAPE_DRAWERS: dict[str, ShapeDrawer] = {"strokes": draw_stroke, "boxes": draw_box}

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


def bin_of(hole_ratios: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bin of each hole ratio, 0 to 5; -1 or 6 where it lies below or above all bins."""
    return np.searchsorted(np.asarray(BIN_EDGES), hole_ratios, side="left") - 1


@dataclass(frozen=True)
class MaskPlan:
    """What each mask of a bank is to be like; mask ``i`` follows from the plan and ``i`` alone.

    Six masks in a row fall into the six bins; the next six take the other border constraint; every
    twelve change style, in proportion to the weights at any length (a golden-ratio sequence).

    Attributes:
        size: S, side of the masks, 16 to 8192 pixels.
        seed: 0 <= seed < 2^64.
        style_weights: weight of each of ``STYLES``; missing ones are filled in as 0.

    Raises:
        UsageError: a value is out of range.
    """

    size: int
    seed: int
    style_weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UsageError(f"masks of side {self.size}: expected {MIN_SIZE} to {MAX_SIZE} pixels")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"seed {self.seed}: expected 0 to 2^64 - 1")
        unknown = set(self.style_weights) - set(STYLES)
        if unknown:
            raise UsageError(
                f"no mask style {', '.join(sorted(unknown))}; valid styles: {', '.join(STYLES)}"
            )
        weights = {style: float(self.style_weights.get(style, 0.0)) for style in STYLES}
        if not (all(0 <= w < math.inf for w in weights.values()) and sum(weights.values()) > 0):
            raise UsageError(f"style weights {weights}: none may be below 0, not all may be 0")
        object.__setattr__(self, "style_weights", weights)

    def style(self, index: int) -> str:
        """Return the style of mask ``index``."""
        shares = np.cumsum([self.style_weights[style] for style in STYLES])
        group = index // (2 * NUM_BINS)
        point = math.modf((group + 0.5) * _GOLDEN_RATIO)[0] * shares[-1]
        return STYLES[int(np.searchsorted(shares, point, side="right"))]

    def bin(self, index: int) -> int:
        """Return the bin, 0 to 5, of mask ``index``."""
        return index % NUM_BINS

    def keeps_clear_of_border(self, index: int) -> bool:
        """Return whether the holes of mask ``index`` keep a margin to the border."""
        return index // NUM_BINS % 2 == 1 and (
            self.bin(index) <= _LAST_BIN_WITH_MARGIN[self.style(index)]
        )


def draw_mask(
    plan: MaskPlan,
    silhouettes: Silhouettes | None,
    index: int,
    *,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Draw mask ``index`` of a plan; it depends on nothing but the arguments.

    Args:
        plan: what it is to be like.
        silhouettes: for masks of objects.
        index: which of the plan.
        shape: height and width, for a mask that is not the plan's square.

    Returns:
        uint8 (H, W): 1 = valid pixel, 0 = hole.

    Raises:
        UsageError: it is to hold objects, and there are no silhouettes.
        PconvError: no mask of the wanted hole ratio came out in 200 tries.
    """
    rng = np.random.default_rng(sample_hash(plan.seed, 0, index, Stream.MASK_DRAWING))
    height, width = shape or (plan.size, plan.size)
    clear = plan.keeps_clear_of_border(index)
    margin = round(min(height, width) * _BORDER_MARGIN) if clear else 0
    region = Region(height, width, margin)
    hole = _draw_hole(rng, region, plan.style(index), plan.bin(index), silhouettes)
    return (~hole).astype(np.uint8)


def _draw_hole(
    rng: np.random.Generator,
    region: Region,
    style: str,
    bin_index: int,
    silhouettes: Silhouettes | None,
) -> Shape:
    draw_shape = _shape_drawer(style, silhouettes)
    min_ratio, max_ratio = BIN_EDGES[bin_index : bin_index + 2]
    num_pixels = region.height * region.width
    for _ in range(_MAX_TRIES):
        target = rng.uniform(min_ratio, max_ratio)
        hole = _fill(rng, region, draw_shape, target, max_ratio, _MAX_SHAPES[style])
        if min_ratio < np.count_nonzero(hole) / num_pixels <= max_ratio:
            return hole
    raise PconvError(
        f"no {style} mask of {region.width} x {region.height} pixels with holes of {min_ratio:.0%} "
        f"to {max_ratio:.0%} in {_MAX_TRIES} tries; use a larger size or other silhouettes"
    )


def _shape_drawer(style: str, silhouettes: Silhouettes | None) -> ShapeDrawer:
    if style != "objects":
        return _SHAPE_DRAWERS[style]
    if silhouettes is None:
        raise UsageError("object masks need a silhouette file or a folder of mask PNGs")
    return silhouettes.draw


def _fill(
    rng: np.random.Generator,
    region: Region,
    draw_shape: ShapeDrawer,
    target: float,
    max_ratio: float,
    max_shapes: int,
) -> Shape:
    """Add shapes until ``target`` is reached; a shape that would overshoot the bin is left out."""
    num_pixels = region.height * region.width
    hole: Shape = np.zeros(region.shape, np.bool_)
    ratio = 0.0
    planned = int(rng.integers(1, 5))  # how many large shapes share the area
    for count in range(max_shapes):
        area = (target - ratio) * num_pixels / max(planned - count, 1)
        candidate = hole | draw_shape(rng, region, max(area, 4.0))
        candidate_ratio = np.count_nonzero(candidate) / num_pixels
        if candidate_ratio <= max_ratio:
            hole, ratio = candidate, candidate_ratio
        if ratio >= target:
            break
    return hole
