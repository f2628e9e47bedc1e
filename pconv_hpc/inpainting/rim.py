"""The rim of a filled hole: continued from outside, and the network's colours fitted to that."""

import cv2
import numpy as np
from scipy import ndimage

_RADIUS = 3  # pixels around each one filled; as in OpenCV's own examples
_PADDING = 2
_SURE_DEPTH = 2.5  # pixels from the nearest valid one: there a continuation is hardly ever wrong


def continue_rim(patch: np.ndarray, rgb: np.ndarray, valid: np.ndarray, width: float) -> np.ndarray:
    """Let the first pixels inside holes continue what is outside, and fade into the network's.

    Next to a valid pixel its continuation is a better guess than the network's, which comes
    through features of half the resolution and windows that are mostly hole. So the photo is
    continued into the rim along lines of equal brightness (Bertalmio et al. 2001). How far the
    network is off in the outermost pixels, blurred, is taken from all of its rim; then the
    continuation fades into it. Nothing of what was in the hole has a part in this, be it only the
    object's shadow.

    Args:
        patch: float32 (H, W, 3) in [0, 1], what the network made of a part of a photo; what it made
            of valid pixels is not looked at.
        rgb: float32 (H, W, 3) in [0, 1], that part of the photo.
        valid: bool (H, W), true = valid.
        width: of the rim, pixels; 0 leaves the patch as it is.

    Returns:
        float32 (H, W, 3) in [0, 1], ``patch`` with other values in the holes' rims.
    """
    if width <= 0 or valid.all() or not valid.any():
        return patch
    part = _around_holes(valid, margin=2 * _RADIUS)
    known = valid[part]
    depth = ndimage.distance_transform_edt(~known).astype(np.float32)
    network = patch[part]
    continued = _continue(np.where(known[..., None], rgb[part], network), depth, width)
    sure = ((depth > 0) & (depth <= _SURE_DEPTH)).astype(np.float32)
    share = ndimage.gaussian_filter(sure, width / 2)
    fade = np.where(known, 0, np.clip(1 - (depth - 1) / np.float32(width), 0, 1))
    correction = np.where(share > 1e-4, fade / np.maximum(share, 1e-4), 0)
    result = patch.copy()
    for channel in range(patch.shape[2]):
        error = ndimage.gaussian_filter((continued - network)[..., channel] * sure, width / 2)
        fitted = np.clip(network[..., channel] + correction * error, 0, 1)
        mixed = fade * continued[..., channel] + (1 - fade) * fitted
        result[part][..., channel][~known] = mixed[~known]
    return result


def _continue(picture: np.ndarray, depth: np.ndarray, width: float) -> np.ndarray:
    """Fill a rim of twice ``width``, whose outer half then knows nothing of what is inside."""
    # OpenCV reads beyond pictures of one row or column
    rim = np.pad(((depth > 0) & (depth <= 2 * width)).astype(np.uint8), _PADDING, mode="edge")
    continued = np.empty_like(picture)
    for channel in range(picture.shape[2]):
        # it takes floats one channel at a time, and has thresholds made for 0 to 255
        brightness = np.pad(picture[..., channel] * np.float32(255), _PADDING, mode="edge")
        filled = cv2.inpaint(brightness, rim, _RADIUS, cv2.INPAINT_NS)
        continued[..., channel] = filled[_PADDING:-_PADDING, _PADDING:-_PADDING]
    return np.clip(continued / 255, 0, 1)


def _around_holes(valid: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the part of a picture that holds all holes and ``margin`` pixels around them."""
    slices = []
    for axis in (0, 1):
        used = np.flatnonzero(~valid.all(axis=1 - axis))
        slices.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    return slices[0], slices[1]
