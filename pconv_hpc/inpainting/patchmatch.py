"""Holes filled with patches of the photo itself: PatchMatch (Barnes et al. 2009)."""

import cv2
import numpy as np

from pconv_hpc.foundation.errors import PconvError

DEFAULT_RADIUS = 3
_SEED = 0


def patchmatch(
    rgb: np.ndarray,
    hole: np.ndarray,
    *,
    source: np.ndarray | None = None,
    radius: int = DEFAULT_RADIUS,
) -> np.ndarray:
    """Fill holes with patches of a photo that fit together.

    The library searches patches at random, coarse to fine, always from the same seed: equal input
    gives equal output. It holds no lock of Python's, so several threads fill side by side.

    Args:
        rgb: uint8 (H, W, 3); what lies in the holes is never looked at.
        hole: bool (H, W), true = to fill.
        source: bool (H, W), true where patches may come from; holes never count. ``None``: anywhere
            outside the holes. Other pixels are not compared with either.
        radius: patches are ``2 * radius + 1`` pixels wide.

    Returns:
        uint8 (H, W, 3), equal to ``rgb`` outside ``hole``.

    Raises:
        ValueError: no patch lies wholly in the source; see ``num_source_patches``.
        PconvError: the library is not usable on this machine.
    """
    import patchmatch as library  # loads OpenCV once more, in C: only where it is needed

    if not library.patchmatch_available:
        raise PconvError(
            "the library of pypatchmatch cannot be loaded here: install the package again "
            "(pip install --force-reinstall --no-deps pypatchmatch), or use --detail none"
        )
    usable = ~hole if source is None else source & ~hole
    if not num_source_patches(usable, radius):
        raise ValueError(f"no patch of {2 * radius + 1} x {2 * radius + 1} pixels in the source")
    library.set_random_seed(_SEED)
    masked = np.where(hole[..., None], np.uint8(0), rgb)
    unused = None if source is None else (~usable & ~hole).astype(np.uint8)
    filled = library.inpaint(masked, hole.astype(np.uint8), global_mask=unused, patch_size=radius)
    return np.where(hole[..., None], filled, rgb)


def num_source_patches(usable: np.ndarray, radius: int = DEFAULT_RADIUS) -> int:
    """Return how many patches lie wholly where ``usable``, bool (H, W), is true."""
    side = 2 * radius + 1
    whole = cv2.erode(
        usable.astype(np.uint8),
        np.ones((side, side), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return int(np.count_nonzero(whole))
