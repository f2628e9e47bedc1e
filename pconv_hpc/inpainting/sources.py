"""Where patches may come from: not from other objects, unless the hole lies on one."""

import numpy as np
from scipy import ndimage

from pconv_hpc.inpainting.holes import depth_in

_RING = 16  # pixels around a hole that say what it lies on
_GROUND_SHARE = 0.3  # of them: an object with more is what the hole lies on, such as a couch


def patch_source(known: np.ndarray, hole: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the pixels from which patches may be taken.

    A person must not be filled with the person beside. But what lies around much of the hole is
    its ground, be it an object: a dog on a couch is filled with couch.

    Args:
        known: bool (H, W), pixels that may be looked at.
        hole: bool (H, W), the pixels to fill.
        kept: bool (H, W), objects that are not to be erased.

    Returns:
        bool (H, W).
    """
    if not kept.any():
        return known
    ring = known & (depth_in(~hole) <= _RING)
    objects, count = ndimage.label(kept)
    around = np.bincount(objects[ring], minlength=count + 1)
    foreign = around < _GROUND_SHARE * max(1, np.count_nonzero(ring))
    foreign[0] = False
    return known & ~foreign[objects]
