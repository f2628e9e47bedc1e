"""Ways to fill holes without a network, for comparison on the same photos and masks."""

import importlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from pconv_hpc.inpainting.patchmatch import patchmatch

# One photo uint8 (H, W, 3), whose hole is not looked at, and the hole, bool (H, W) → a composite
# uint8 (H, W, 3), or None if this way is not for such a hole.
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray | None]

_OPENCV_RADIUS = 3  # pixels around each one filled; as in OpenCV's own examples
MAX_BIHARMONIC_PIXELS = 16_384


def fill_telea(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill by fast marching (Telea 2004), as OpenCV does."""
    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), _OPENCV_RADIUS, cv2.INPAINT_TELEA))


def fill_navier_stokes(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill along lines of equal brightness (Bertalmio et al. 2001), as OpenCV does."""
    return np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), _OPENCV_RADIUS, cv2.INPAINT_NS))


def fill_frequency_selective(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Continue frequencies block by block (Genser et al. 2018), as OpenCV's extra modules do."""
    blue_first = np.ascontiguousarray(photo[..., ::-1])
    result = np.zeros_like(blue_first)
    valid = (~hole).astype(np.uint8)
    cv2.xphoto.inpaint(blue_first, valid, result, cv2.xphoto.INPAINT_FSR_FAST)
    return np.where(hole[..., np.newaxis], result[..., ::-1], photo)


def fill_patchmatch(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill with patches of the photo, no network before (Barnes et al. 2009)."""
    return patchmatch(photo, hole)


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


BASELINES: dict[str, Fill] = {
    "telea": fill_telea,
    "navier_stokes": fill_navier_stokes,
    "fsr": fill_frequency_selective,
    "patchmatch": fill_patchmatch,
    "biharmonic": fill_biharmonic,
    "mean": fill_mean,
}
OPENCV = ("telea", "navier_stokes", "fsr")


def absent_baselines(names: Sequence[str]) -> dict[str, str]:
    """Return why baselines cannot run here, of those that cannot, by name."""
    reasons = {}
    if not hasattr(cv2, "xphoto"):
        reasons["fsr"] = (
            "this OpenCV lacks its extra modules; pip install opencv-contrib-python-headless in "
            "place of the other one"
        )
    try:
        loaded = importlib.import_module("patchmatch").patchmatch_available
    except ImportError:
        loaded = False
    if not loaded:
        reasons["patchmatch"] = "its library cannot be loaded; pip install pypatchmatch"
    return {name: reasons[name] for name in names if name in reasons}
