"""Single shapes that holes are made of: brush strokes, lines, circles, ellipses and boxes.

A shape is a bool array (H, W), True where the hole is. It lies inside a region, the image without
a margin; where the region reaches the border of the image, shapes may cross it, else they keep
clear of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Shape = NDArray[np.bool_]
Points = NDArray[np.float64]  # (n, 2), x and y in pixels
Sides = NDArray[np.float64]  # (2,), x and y in pixels


@dataclass(frozen=True)
class Region:
    """The part of an image that holes may lie in: all but a margin in pixels.

    Attributes:
        height, width: of the image.
        margin: to each side.
    """

    height: int
    width: int
    margin: int

    @classmethod
    def square(cls, size: int, margin: int) -> "Region":
        """Return the region of an image of ``size`` x ``size`` pixels."""
        return cls(size, size, margin)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the image, as of an array."""
        return self.height, self.width

    @property
    def side(self) -> float:
        """Of a square of the image's area: what shapes are large or small against."""
        return math.sqrt(self.height * self.width)

    @property
    def sides(self) -> Sides:
        """Of the image, x and y."""
        return np.array([self.width, self.height], np.float64)

    @property
    def inside(self) -> tuple[slice, slice]:
        """What to index an array of the image with."""
        return (
            slice(self.margin, self.height - self.margin),
            slice(self.margin, self.width - self.margin),
        )

    @property
    def touches_border(self) -> bool:
        return self.margin == 0

    def limits(self, extent: float) -> tuple[Sides, Sides]:
        """Return where the centre of something ``extent`` pixels to each side may lie, x and y.

        Beside the border that is the whole image; else all of the thing stays inside.
        """
        if self.touches_border:
            return np.zeros(2), self.sides
        middle = self.sides / 2
        low = np.minimum(self.margin + extent, middle)
        return low, np.maximum(self.sides - self.margin - extent, middle)

    def random_point(self, rng: np.random.Generator, extent: float) -> Points:
        low, high = self.limits(extent)
        return rng.uniform(low, high, (1, 2))


class _Canvas:
    """A black image to draw white shapes on."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._image = Image.new("L", (region.width, region.height))
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
        inside = self._region.inside
        result = np.zeros(self._region.shape, np.bool_)
        # Rasterising rounds outwards: without this, shapes would reach a pixel into the margin.
        result[inside] = np.asarray(self._image)[inside] > 0
        return result


def _reflect(points: Points, low: Sides, high: Sides) -> Points:
    """Fold points back to between ``low`` and ``high``, as off mirrors."""
    span = np.maximum(high - low, 1e-6)
    return low + span - np.abs(np.mod(points - low, 2 * span) - span)


def _brush_walk(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """A thick line that wanders, its width and direction drifting, now and then turning sharply.

    It stands for the moving outlines of objects: the paper's masks are occlusions between
    neighbouring frames of videos.
    """
    width = region.side * rng.uniform(0.01, 0.07)
    length = min(max(area / width, 2 * width), 2.0 * region.side)
    step = max(width * rng.uniform(0.5, 2.0), region.side / 64, 1.0)
    count = max(2, math.ceil(length / step))
    turns = rng.normal(0.0, 0.45, count)
    turns[rng.random(count) < 0.12] = rng.uniform(-math.pi, math.pi)
    headings = rng.uniform(0, 2 * math.pi) + np.cumsum(turns)
    steps = step * np.stack((np.cos(headings), np.sin(headings)), axis=1)
    start = region.random_point(rng, width)
    widths = width * np.clip(np.exp(np.cumsum(rng.normal(0.0, 0.15, count + 1))), 0.4, 1.6)

    extent = 0.8 * width  # half of the widest place
    low, high = region.limits(extent)
    if region.touches_border:
        low, high = low - extent, high + extent
    points = _reflect(np.concatenate((start, start + np.cumsum(steps, axis=0))), low, high)
    canvas = _Canvas(region)
    canvas.path(points, widths)
    return canvas.shape()


def _line(rng: np.random.Generator, region: Region, area: float) -> Shape:
    width = region.side * rng.uniform(0.006, 0.04)
    length = min(max(area / width, 2 * width), 1.2 * region.side)
    angle = rng.uniform(0, 2 * math.pi)
    reach = length * np.array([[math.cos(angle), math.sin(angle)]])
    start = region.random_point(rng, width / 2)
    low, high = region.limits(width / 2)
    end = start + reach if region.touches_border else np.clip(start + reach, low, high)
    canvas = _Canvas(region)
    canvas.path(np.concatenate((start, end)), np.full(2, width))
    return canvas.shape()


def _disk(rng: np.random.Generator, region: Region, area: float) -> Shape:
    radius = min(math.sqrt(area / math.pi), region.side * rng.uniform(0.02, 0.09))
    canvas = _Canvas(region)
    canvas.disk(region.random_point(rng, radius)[0], radius)
    return canvas.shape()


def _ellipse_outline(rng: np.random.Generator, region: Region, area: float) -> Shape:
    """A rotated elliptic arc, whole or in part, drawn with a brush."""
    width = region.side * rng.uniform(0.008, 0.04)
    sweep = rng.uniform(0.5, 1.0) * 2 * math.pi
    radius = min(max(area / (width * sweep), width), 0.22 * region.side)
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
    half = np.minimum(half, region.sides / 2 - region.margin)
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
