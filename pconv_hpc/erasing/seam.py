"""Making a filled hole meet its surroundings, without its old content and without touching them."""

import numpy as np
from scipy import ndimage


def match_seam(patch: np.ndarray, rgb: np.ndarray, valid: np.ndarray, feather: float) -> np.ndarray:
    """Shift a patch's colours inside the rim of its hole to those just outside.

    The network also predicts the valid pixels around a hole. How far it is off there, blurred, is
    taken from what it predicted inside, fully at the edge and no more ``feather`` pixels deep. So
    the seam is feathered within the hole: nothing outside changes, and nothing of what was in the
    hole, be it only the object's shadow, is blended back.

    Args:
        patch: float32 (H, W, 3), what the network made of a part of a photo.
        rgb: float32 (H, W, 3), that part of the photo.
        valid: bool (H, W), true = valid.
        feather: width of the rim, pixels; 0 leaves the patch as it is.

    Returns:
        float32 (H, W, 3), ``patch`` with other values in the holes' rims.
    """
    if feather <= 0 or valid.all():
        return patch
    part = _around_holes(valid, margin=int(np.ceil(2 * feather)))
    known = valid[part].astype(np.float32)
    sigma = feather / 2
    share = ndimage.gaussian_filter(known, sigma)
    depth = ndimage.distance_transform_edt(~valid[part])
    fade = np.where(known > 0, 0, np.clip(1 - (depth - 1) / feather, 0, 1))
    fade = np.where(share > 1e-6, fade / np.maximum(share, 1e-6), 0).astype(np.float32)
    result = patch.copy()
    for channel in range(patch.shape[2]):
        error = (rgb[part][..., channel] - patch[part][..., channel]) * known
        result[part][..., channel] += fade * ndimage.gaussian_filter(error, sigma)
    return result


def _around_holes(valid: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Return the part of a picture that holds all holes and ``margin`` pixels around them."""
    slices = []
    for axis in (0, 1):
        used = np.flatnonzero(~valid.all(axis=1 - axis))
        slices.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    return slices[0], slices[1]
