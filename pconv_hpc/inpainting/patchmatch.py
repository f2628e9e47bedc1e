"""Holes filled with patches from elsewhere in the photo (Barnes et al. 2009)."""

import numpy as np


def patchmatch(
    rgb: np.ndarray,
    hole: np.ndarray,
    *,
    source: np.ndarray | None = None,
    radius: int = 3,
    seed: int = 0,
) -> np.ndarray:
    """Return a photo whose holes are filled with its own patches; the rest is what it was.

    Args:
        rgb: uint8 (H, W, 3); what lies in the holes is not looked at.
        hole: bool (H, W), true = to fill.
        source: bool (H, W), where patches may come from; None takes all that is no hole.
        radius: patches have 2 * radius + 1 pixels a side.
        seed: of the search; the same fills the same.

    Returns:
        uint8 (H, W, 3).
    """
    import patchmatch as library  # here, because it loads a compiled library

    library.set_random_seed(seed)
    barred = None if source is None else ~(source | hole)
    return np.asarray(library.inpaint(rgb, hole, global_mask=barred, patch_size=radius))
