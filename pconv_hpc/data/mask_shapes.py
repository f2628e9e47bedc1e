"""Single shapes that holes are made of: brush strokes, lines, circles, ellipses and boxes.

A shape is a bool array (S, S), True where the hole is. It lies inside a region, the square of
pixels ``low`` to ``high`` (exclusive) of both axes; where the region reaches the border of the
image, shapes may cross it, else they keep clear of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Shape = NDArray[np.bool_]
Points = NDArray[np.float64]  # (n, 2), x and y in pixels


@dataclass(frozen=True)
class Region:
    """The part of a ``size`` x ``size`` image that holes may lie in: all but a margin in pixels."""

    size: int
    margin: int

    @property
    def low(self) -> int:
        return self.margin

    @property
    def high(self) -> int:
        return self.size - self.margin

    @property
    def touches_border(self) -> bool:
        return self.margin == 0

    def limits(self, extent: float) -> tuple[float, float]:
        """Return where the centre of something ``extent`` pixels to each side may lie.

        Beside the border that is the whole image; else all of the thing stays inside.
        """
        if self.touches_border:
            return 0.0, float(self.size)
        middle = self.size / 2
        return min(self.low + extent, middle), max(self.high - extent, middle)

    def random_point(self, rng: np.random.Generator, extent: float) -> Points:
        low, high = self.limits(extent)
        return rng.uniform(low, high, (1, 2))


class _Canvas:
    """A black image to draw white shapes on."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._image = Image.new("L", (region.size, region.size))
        self._draw = ImageDraw.Draw(self._image)

    def disk(self, centre: NDArray[np.float64], radius: float) -> None:
        x, y = centre
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

    def polygon(self, corners: Points) -> None:
        self._draw.polygon([tuple(corner) for corner in corners], fill=255)

    def path(self, points: Points, widths: NDArray[np.float64]) -> None:
        """Draw a line with round ends and joints; ``widths`` (n,) are those at the points."""
        for start, end, width in zip(points[:-1], points[1:], widths[1:], strict=True):
            self._draw.line((*start, *end), fill=255, width=max(1, round(width)))
        for point, width in zip(points, widths, strict=True):
            self.disk(point, width / 2)

    def shape(self) -> Shape:
        inside = slice(self._region.low, self._region.high)
        result = np.zeros((self._region.size, self._region.size), np.bool_)
        # Rasterising rounds outwards: without this, shapes would reach a pixel into the margin.
        result[inside, inside] = np.asarray(self._image)[inside, inside] > 0
        return result


def _reflect(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Fold coordinates back into ``low`` to ``high``, as off mirrors."""
    span = max(high - low, 1e-6)
    return low + span - np.abs(np.mod(values - low, 2 * span) - span)


def _brush_walk(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """A thick line that wanders, its width and direction drifting, now and then turning sharply.

    It stands for the moving outlines of objects: the paper's masks are occlusions between
    neighbouring frames of videos.
    """
    width = region.size * rng.uniform(0.01, 0.07)
    length = min(max(area / width, 2 * width), 2.0 * region.size)
    step = max(width * rng.uniform(0.5, 2.0), region.size / 64, 1.0)
    count = max(2, math.ceil(length / step))
    turns = rng.normal(0.0, 0.45, count)
    turns[rng.random(count) < 0.12] = rng.uniform(-math.pi, math.pi)
    headings = rng.uniform(0, 2 * math.pi) + np.cumsum(turns)
    steps = step * np.stack((np.cos(headings), np.sin(headings)), axis=1)
    start = region.random_point(rng, width)
    widths = width * np.clip(np.exp(np.cumsum(rng.normal(0.0, 0.15, count + 1))), 0.4, 1.6)

    extent = 0.8 * width  # half of the widest place
    low, high = (-extent, region.size + extent) if region.touches_border else region.limits(extent)
    points = _reflect(np.concatenate((start, start + np.cumsum(steps, axis=0))), low, high)
    canvas = _Canvas(region)
    canvas.path(points, widths)
    return canvas.shape()


def _line(rng: np.random.Generator, region: Region, area: float) -> Shape:
    width = region.size * rng.uniform(0.006, 0.04)
    length = min(max(area / width, 2 * width), 1.2 * region.size)
    angle = rng.uniform(0, 2 * math.pi)
    reach = length * np.array([[math.cos(angle), math.sin(angle)]])
    start = region.random_point(rng, width / 2)
    low, high = region.limits(width / 2)
    end = start + reach if region.touches_border else np.clip(start + reach, low, high)
    canvas = _Canvas(region)
    canvas.path(np.concatenate((start, end)), np.full(2, width))
    return canvas.shape()


def _disk(rng: np.random.Generator, region: Region, area: float) -> Shape:
    radius = min(math.sqrt(area / math.pi), region.size * rng.uniform(0.02, 0.09))
    canvas = _Canvas(region)
    canvas.disk(region.random_point(rng, radius)[0], radius)
    return canvas.shape()


def _ellipse_outline(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """A rotated elliptic arc, whole or in part, drawn with a brush."""
    width = region.size * rng.uniform(0.008, 0.04)
    sweep = rng.uniform(0.5, 1.0) * 2 * math.pi
    radius = min(max(area / (width * sweep), width), 0.22 * region.size)
    angles = rng.uniform(0, 2 * math.pi) + np.linspace(0, sweep, 32)
    axes = radius * np.array([1.0, rng.uniform(0.3, 1.0)])
    ring = _rotate(axes * np.stack((np.cos(angles), np.sin(angles)), axis=1), rng)
    canvas = _Canvas(region)
    canvas.path(ring + region.random_point(rng, radius + width / 2), np.full(len(ring), width))
    return canvas.shape()


def _rotate(points: Points, rng: np.random.Generator) -> Points:
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


_STROKES: tuple[tuple[float, Callable[[np.random.Generator, Region, float], Shape]], ...] = (
    (0.64, _brush_walk),
    (0.14, _line),
    (0.10, _disk),
    (0.12, _ellipse_outline),
)


def draw_stroke(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """Draw a brush walk, a line, a disk or an elliptic arc of at most about ``area`` pixels."""
    shares, functions = zip(*_STROKES, strict=True)
    return functions[rng.choice(len(functions), p=shares)](rng, region, area)


def draw_box(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """Draw a rectangle of about ``area`` pixels, at times rotated, at times with round corners."""
    aspect = math.exp(rng.uniform(-0.8, 0.8))
    half = np.array([math.sqrt(area * aspect), math.sqrt(area / aspect)]) / 2
    half = np.minimum(half, (region.high - region.low) / 2)
    radius = half.min() * rng.uniform(0.1, 0.6) if rng.random() < 0.4 else 0.0
    outline = _round_rectangle(half, radius)
    if rng.random() < 0.4:
        outline = _rotate(outline, rng)
    outline += region.random_point(rng, np.abs(outline).max())
    canvas = _Canvas(region)
    canvas.polygon(outline)
    return canvas.shape()


def _round_rectangle(half: NDArray[np.float64], radius: float) -> Points:
    """Return the outline of a rectangle of half sides ``half`` around 0, its corners rounded."""
    quarter = np.linspace(0, math.pi / 2, 8) if radius else np.zeros(1)
    angles = np.concatenate([quarter + k * math.pi / 2 for k in range(4)])
    corners = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    arcs = radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    return np.repeat(corners * (half - radius), len(quarter), axis=0) + arcs
