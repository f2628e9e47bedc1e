"""Ways to fill holes without a network, for comparison on the same photos and masks."""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic


class Fill(Protocol):
    """A way to fill holes."""

    def __call__(self, photos: np.ndarray, holes: np.ndarray) -> list[np.ndarray | None]:
        """Return composites uint8 (S, S, 3); None where this way is not for such a hole.

        Args:
            photos: uint8 (B, S, S, 3); what lies in the holes is not looked at.
            holes: bool (B, S, S), true = hole.
        """


class BaselineFill:
    """A baseline, photo by photo; see ``Fill``."""

    def __init__(self, baseline: "Baseline") -> None:
        self._baseline = baseline

    def __call__(self, photos: np.ndarray, holes: np.ndarray) -> list[np.ndarray | None]:
        return [self._baseline(photo, hole) for photo, hole in zip(photos, holes, strict=True)]


# One photo uint8 (H, W, 3) and its hole, bool (H, W) → uint8 (H, W, 3), or None if not for it.
Baseline = Callable[[np.ndarray, np.ndarray], np.ndarray | None]

_OPENCV_RADIUS = 3  # pixels around each one filled; as in OpenCV's own examples
MAX_BIHARMONIC_PIXELS = 16_384


def fill_telea(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill by fast marching (Telea 2004), as OpenCV does."""
    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), _OPENCV_RADIUS, cv2.INPAINT_TELEA))


def fill_navier_stokes(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill along lines of equal brightness (Bertalmio et al. 2001), as OpenCV does."""
    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), _OPENCV_RADIUS, cv2.INPAINT_NS))


def fill_biharmonic(photo: np.ndarray, hole: np.ndarray) -> np.ndarray | None:
    """Fill with the smoothest surface (Damelin & Hoang 2018), as scikit-image does.

    None where the hole has more than 16,384 pixels: the equations of larger ones take too long.
    """
    if np.count_nonzero(hole) > MAX_BIHARMONIC_PIXELS:
        return None
    filled = inpaint_biharmonic(photo, hole, channel_axis=-1)  # in [0, 1]
    result = photo.copy()
    result[hole] = np.round(255.0 * filled[hole])
    return result


def fill_mean(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill with the mean colour of the valid pixels: what any method must beat."""
    result = photo.copy()
    result[hole] = np.round(photo[~hole].mean(axis=0))
    return result


BASELINES: dict[str, Baseline] = {
    "telea": fill_telea,
    "navier_stokes": fill_navier_stokes,
    "biharmonic": fill_biharmonic,
    "mean": fill_mean,
}
