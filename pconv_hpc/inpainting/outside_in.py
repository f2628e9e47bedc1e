"""Filling holes that one pass of the network cannot: ring by ring, from the outside in.

A picture larger than what the network is given at once is covered by overlapping tiles; a hole
deeper than the network can reach is filled as deep as it can, and what was filled counts as valid
in the next round. A hole that fits takes one tile and one round.

Filling is a generator that yields what it wants predicted and is sent the predictions, so that the
tiles of many photos can share a batch.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Tile:
    """What the network is given: float32 (h, w, 3) in [0, 1] and bool (h, w), true = valid."""

    rgb: np.ndarray
    valid: np.ndarray


Filling = Generator[list[Tile], list[np.ndarray], np.ndarray]

# A tile's predictions count from this share of its side on, seen from an edge inside the picture.
# A hole pixel there that is at most as deep has valid pixels in the very tile.
_MARGIN = 1 / 8

# Of several rounds each goes this share of the reach deep: the last pixels a network reaches see
# hardly anything, and the next round would build on them (1 to 1.7 dB worse in deep holes).
_RING = 1 / 2


def fill_from_outside(
    rgb: np.ndarray, valid: np.ndarray, *, tile_shape: tuple[int, int], reach: int
) -> Filling:
    """Fill every hole of a picture.

    Args:
        rgb: float32 (H, W, 3) in [0, 1]; what lies in the holes is never looked at.
        valid: bool (H, W), true = valid; at least one pixel must be.
        tile_shape: height and width of what the network is given; a picture smaller than that is
            padded with hole.
        reach: how many pixels deep into a hole the network's output is defined, at least 1.

    Yields:
        The tiles of one round; wants their predictions, float (h, w, 3), in the same order.

    Returns:
        float32 (H, W, 3): the network's output in the holes and, where it saw them in the first
        round, at valid pixels too; the input at all others.
    """
    if not valid.any() or reach < 1:
        raise ValueError("nothing to fill from: no valid pixel, or a network that reaches none")
    fits = valid.shape[0] <= tile_shape[0] and valid.shape[1] <= tile_shape[1]
    deepest = ndimage.distance_transform_edt(~valid).max()
    ring = reach if fits and deepest <= reach else max(1, int(reach * _RING))
    if not fits:
        ring = max(1, min(ring, int(min(tile_shape) * _MARGIN)))
    result, known = rgb, valid
    while not known.all():
        band = ~known & (ndimage.distance_transform_edt(~known) <= ring)
        output, seen = yield from _predict(result, known, band, tile_shape)
        if known is valid:
            result = np.where(seen[..., None], output, rgb)
        else:
            result[band] = output[band]
        known = known | band
    return result


class _Place(NamedTuple):
    """Where a tile lies in the picture, and how much each of its pixels counts, (h, w)."""

    part: tuple[slice, slice]
    weights: np.ndarray


_Round = Generator[list[Tile], list[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _predict(
    rgb: np.ndarray, valid: np.ndarray, band: np.ndarray, tile_shape: tuple[int, int]
) -> _Round:
    """Predict the pixels of ``band``; return (H, W, 3), blended, and which pixels have a value."""
    places = [
        place
        for place in _cover(valid.shape, tile_shape)
        if band[place.part][place.weights > 0].any()
    ]
    outputs = yield [_cut(rgb, valid, place.part, tile_shape) for place in places]
    total = np.zeros_like(rgb)
    weight_sum = np.zeros((*valid.shape, 1), dtype=np.float32)
    for (part, weights), output in zip(places, outputs, strict=True):
        height, width = weights.shape
        total[part] += output[:height, :width] * weights[..., None]
        weight_sum[part] += weights[..., None]
    seen = weight_sum > 0
    return total / np.where(seen, weight_sum, 1), seen[..., 0]


def _cut(
    rgb: np.ndarray, valid: np.ndarray, part: tuple[slice, slice], tile_shape: tuple[int, int]
) -> Tile:
    """Cut a tile, padded with hole at the bottom and the right."""
    height, width = valid[part].shape
    tile = Tile(np.zeros((*tile_shape, 3), dtype=np.float32), np.zeros(tile_shape, dtype=bool))
    tile.rgb[:height, :width] = np.where(valid[part][..., None], rgb[part], 0)
    tile.valid[:height, :width] = valid[part]
    return tile


def _cover(shape: tuple[int, ...], tile_shape: tuple[int, int]) -> list[_Place]:
    """Cover a picture with tiles half a tile apart whose weights fade towards each other."""
    rows, columns = (
        [
            (slice(start, start + tile), _fade(start, length, tile))
            for start in _starts(length, tile)
        ]
        for length, tile in zip(shape, tile_shape, strict=True)
    )
    return [
        _Place((row, column), np.outer(vertical, horizontal))
        for row, vertical in rows
        for column, horizontal in columns
    ]


def _starts(length: int, tile: int) -> list[int]:
    last = max(0, length - tile)
    return [*range(0, last, max(1, tile // 2)), last]


def _fade(start: int, length: int, tile: int) -> np.ndarray:
    """Return weights along one side: 0 in the margins, up to 1 inside, 1 at the picture's edges."""
    margin = int(tile * _MARGIN)
    position = np.arange(min(tile, length - start), dtype=np.float32) + 0.5
    weights = np.ones_like(position)
    if start > 0:
        weights = np.minimum(weights, (position - margin) / (tile / 2 - margin))
    if start + tile < length:
        weights = np.minimum(weights, (tile - margin - position) / (tile / 2 - margin))
    return np.maximum(weights, 0)
