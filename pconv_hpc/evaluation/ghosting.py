"""How much of an erased object is still to be seen: error behind it, and what is left of outlines.

An *outline* is a step in colour that runs along a contour. At each point of a band around the
contour the image's gradient is projected on the contour's normal and averaged along the contour
(a Gaussian-weighted mean over the band, :data:`STRETCH` of the side wide). Texture that merely
crosses the band points either way and cancels; a step that follows the contour does not. The
*outline energy* E is the mean magnitude of that over band and channels, in [0, 1] per pixel.

The *residue* is ``(E(result) - E(truth)) / (E(truth) + 1/255)``: 0 where the outline is as weak as
in the true background, 1 where it is twice as strong, below 0 where the result is smoother than the
truth. It is relative because texture hides outlines; the constant, one gray level a pixel, keeps it
finite on plain walls and skies.

Two contours matter. Along the object's own silhouette a residue is the *ghost*. Along the rim of
the hole it is the *patch*: a fill that does not fit its surroundings. A residue above
:data:`VISIBLE` on either counts as a visible ghost.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

STRETCH = 1 / 64  # of the side: standard deviation of the mean along the contour
_BAND = 1 / 100  # of the side: half the width of the band
VISIBLE = 0.5
_ONE_GRAY_LEVEL = 1.0 / 255.0


@dataclass(frozen=True)
class Contour:
    """The band around a region's border, and the direction across it.

    Attributes:
        band: bool (H, W).
        normal: float32 (2, H, W), unit vectors (row, column) out of the region; 0 off the band.
        stretch: standard deviation of the mean along the contour, pixels.
    """

    band: np.ndarray
    normal: np.ndarray
    stretch: float

    @classmethod
    def of(cls, region: np.ndarray) -> "Contour":
        """Return the contour of a region, bool (H, W), that is neither empty nor everything."""
        side = math.sqrt(region.size)
        outside = ndimage.distance_transform_edt(~region)
        inside = ndimage.distance_transform_edt(region)
        distance = np.where(region, 0.5 - inside, outside - 0.5)  # signed, from the border
        band = np.abs(distance) <= max(2.0, side * _BAND)
        # smoothed, because the border of pixels runs in steps
        normal = np.stack(np.gradient(ndimage.gaussian_filter(distance, max(1.0, side / 128))))
        normal *= band / np.maximum(np.hypot(*normal), 1e-6)
        return cls(band, normal.astype(np.float32), max(1.0, side * STRETCH))

    def energy(self, picture: np.ndarray) -> float:
        """Return the outline energy E of a picture, float (H, W, 3) in [0, 1]."""
        weight = ndimage.gaussian_filter(self.band.astype(np.float32), self.stretch)[self.band]
        total = 0.0
        for channel in np.moveaxis(picture, -1, 0):
            rows, columns = np.gradient(channel)
            across = self.normal[0] * rows + self.normal[1] * columns  # 0 off the band
            step = ndimage.gaussian_filter(across, self.stretch)[self.band] / weight
            total += float(np.abs(step).mean())
        return total / picture.shape[-1]

    def residue(self, result: np.ndarray, truth: np.ndarray) -> float:
        """Return the residue of an outline in a result; see ``energy`` for the pictures."""
        expected = self.energy(truth)
        return (self.energy(result) - expected) / (expected + _ONE_GRAY_LEVEL)
