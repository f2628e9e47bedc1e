"""How much fine texture a fill has, next to what surrounds it.

The *texture* of a pixel is its luminance less a Gaussian mean around it (:data:`SIGMA` pixels).
The mean is taken on each side of the hole's edge by itself, normalised by the weights that lie
there, so that nothing crosses the edge: neither the step between a fill and its surroundings nor
the surroundings' own texture counts for the fill.

The *texture ratio* is the mean magnitude of texture in the hole over that in a ring around it. In
the hole all pixels deeper than :data:`RIM` count; around it as many, the nearest that are farther
from it than that. Half a gray level is added to both, so that a plain fill in a plain sky is 1 and
not 0/0.

1 is as much texture as around the hole, about what photos have there themselves. A blur is below
0.5, noise above 1. Whether it is the right texture the ratio does not tell: it is a measure of
energy alone, and noise of the right strength has 1 too.
"""

import numpy as np
from scipy import ndimage

SIGMA = 2.0  # pixels
RIM = 2.0  # pixels to each side of the hole's edge that do not count
_HALF_GRAY_LEVEL = 0.5 / 255.0
_MIN_RING = 256  # pixels
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


class TextureRatio:
    """The ratio of fills of one hole; see the module.

    Args:
        photo: float32 (H, W, 3) in [0, 1]; what lies in the hole is not looked at.
        hole: bool (H, W), true = hole.
    """

    def __init__(self, photo: np.ndarray, hole: np.ndarray) -> None:
        self._hole = hole
        self._inside = ndimage.distance_transform_edt(hole) > RIM
        ring = _nearest(hole, max(_MIN_RING, int(np.count_nonzero(self._inside))))
        self._defined = bool(self._inside.any() and ring.any())
        self._around = _energy(photo, ~hole, ring) if self._defined else 0.0

    def of(self, result: np.ndarray) -> float | None:
        """Return the ratio of a filled photo, float32 (H, W, 3) in [0, 1].

        None where the hole is nowhere deeper than its rim, or leaves no ring around it.
        """
        if not self._defined:
            return None
        energy = _energy(result, self._hole, self._inside)
        return (energy + _HALF_GRAY_LEVEL) / (self._around + _HALF_GRAY_LEVEL)


def _nearest(hole: np.ndarray, count: int) -> np.ndarray:
    """Return about ``count`` pixels, bool (H, W), around a hole but not at its very edge."""
    distance = ndimage.distance_transform_edt(~hole)
    ring = distance > RIM
    distances = distance[ring]
    if len(distances) > count:
        ring &= distance <= np.partition(distances, count)[count]
    return np.asarray(ring)


def _energy(picture: np.ndarray, side: np.ndarray, counted: np.ndarray) -> float:
    """Return the mean magnitude of texture where ``counted``, means taken within ``side``."""
    luminance = picture @ _LUMINANCE
    weights = side.astype(np.float32)
    total, weight = (
        ndimage.gaussian_filter(x, SIGMA)[counted] for x in (luminance * weights, weights)
    )
    return float(np.abs(luminance[counted] - total / weight).mean())
