"""How much of an erased object is still to be seen: what is left of its outline.

An outline is a step in colour that runs along a contour. At each point of a band around the contour
the picture's gradient is projected on the contour's normal and averaged along the contour (a
Gaussian mean within the band, :data:`STRETCH` of the side wide). Texture that merely crosses the
band points either way and cancels; a step that follows the contour does not. The magnitude, mean
over the channels, is the *step* s at that point, colours from 0 to 1, per pixel.

Two figures compare the steps of a result with those of the truth:

- the *residue*, ``(mean s(result) - mean s(truth)) / (mean s(truth) + 1/255)``: 0 where the steps
  are as in the truth, 1 where they are twice as strong, below 0 where the result is smoother. It is
  relative because texture hides outlines; the constant, one gray level a pixel, keeps it finite on
  plain walls and skies;
- the *visible share*: the part of the contour, 0 to 1, on which the same ratio of *local* means
  (:data:`NEIGHBOURHOOD` of the side) is above :data:`VISIBLE`. A texture that was lost in one place
  does not make up for an outline in another.

Two contours matter. Along the object's own silhouette they measure the *ghost*. Along the rim of
the hole they measure the *patch*, a fill that does not fit its surroundings.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

STRETCH = 1 / 64  # of the side: standard deviation of the mean along the contour
NEIGHBOURHOOD = 1 / 24  # of the side: standard deviation of local means
VISIBLE = 0.5
_BAND = 1 / 100  # of the side: half the width of the band
_NORMAL_SMOOTHING = 1 / 128  # of the side: the border of pixels runs in steps
_ONE_GRAY_LEVEL = 1.0 / 255.0


@dataclass(frozen=True)
class Trace:
    """What is left of an outline; see the module."""

    residue: float
    visible: float


class Outline:
    """The contour of a region, and the steps that the true background has along it.

    Args:
        region: bool (H, W), neither empty nor everything.
        truth: float (H, W, 3) in [0, 1].
    """

    def __init__(self, region: np.ndarray, truth: np.ndarray) -> None:
        side = math.sqrt(region.size)
        self._stretch = max(1.0, side * STRETCH)
        self._neighbourhood = max(2.0, side * NEIGHBOURHOOD)
        distance = np.where(
            region,
            0.5 - ndimage.distance_transform_edt(region),
            ndimage.distance_transform_edt(~region) - 0.5,
        )
        band = np.abs(distance) <= max(2.0, side * _BAND)
        smooth = ndimage.gaussian_filter(distance, max(1.0, side * _NORMAL_SMOOTHING))
        normal = np.stack(np.gradient(smooth))
        normal *= band / np.maximum(np.hypot(*normal), 1e-6)
        self._part = _around(band)
        self._band = band[self._part]
        self._normal = normal[:, self._part[0], self._part[1]].astype(np.float32)
        self._expected = self.steps(truth)

    def steps(self, picture: np.ndarray) -> np.ndarray:
        """Return the step at each point of the band, (n,), of a picture (H, W, 3) in [0, 1]."""
        total = np.zeros(np.count_nonzero(self._band))
        for channel in np.moveaxis(picture[self._part], -1, 0):
            rows, columns = np.gradient(channel)
            across = self._normal[0] * rows + self._normal[1] * columns
            total += np.abs(self._mean_within_band(across[self._band], self._stretch))
        return total / picture.shape[-1]

    def trace(self, result: np.ndarray) -> Trace:
        """Return what is left of the outline in a result, float (H, W, 3) in [0, 1]."""
        found, expected = self.steps(result), self._expected
        local = _ratio(
            self._mean_within_band(found, self._neighbourhood),
            self._mean_within_band(expected, self._neighbourhood),
        )
        residue = float(_ratio(found.mean(), expected.mean()))
        return Trace(residue, float(np.mean(local > VISIBLE)))

    def _mean_within_band(self, values: np.ndarray, sigma: float) -> np.ndarray:
        """Return Gaussian means, (n,), of values at the points of the band."""
        field = np.zeros(self._band.shape, np.float32)
        field[self._band] = values
        weights = self._band.astype(np.float32)
        total, weight = (
            ndimage.gaussian_filter(array, sigma, mode="constant")[self._band]
            for array in (field, weights)
        )
        return np.asarray(total / weight)


def _ratio(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return (found - expected) / (expected + _ONE_GRAY_LEVEL)


def _around(band: np.ndarray) -> tuple[slice, slice]:
    """Return the part of a picture that holds the band, and a pixel more for gradients."""
    rows, columns = (np.flatnonzero(band.any(axis=1 - axis)) for axis in (0, 1))
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )
