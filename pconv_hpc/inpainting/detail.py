"""The second step of filling: what the network made, joined with texture of the photo itself.

The network knows colours and large structure, patches know texture, and next to the edge of a hole
a continuation by waves is nearer to the truth than either. All three are joined by frequency and by
depth; the shares were chosen on photos at their own sizes (docs/reference/quality.md).
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from pconv_hpc.inpainting.frequency_selective import continue_by_waves
from pconv_hpc.inpainting.holes import depth_in
from pconv_hpc.inpainting.patchmatch import num_source_patches, patchmatch

Detail = Literal["patches", "blended", "none"]
DETAILS: tuple[Detail, ...] = ("patches", "blended", "none")

LOW_BAND_SIGMA = 8.0  # pixels at the network's resolution: what is larger counts as structure
# Patches are given this much of the continuation: they meet the photo without a seam, and
# narrow holes get better ones.
_GIVEN_DEPTH = 2.0
_RIM_DEPTH = 12.0  # pixels: deeper in a hole the continuation has no part
_RIM_FADE = 3.0  # the last of them, over which it goes
_MIN_SOURCE = 1 / 16  # fewer patches than this share of a hole's pixels only repeat themselves
_MAX_BLURRED = 8.0


@dataclass(frozen=True)
class Shares:
    """What of a hole comes from where.

    Attributes:
        low: the network's share of what is larger than ``LOW_BAND_SIGMA``; the rest is patches'.
        high: its share of what is smaller.
        rim: over how many pixels the continuation falls to a third.
        grain: how much of the fine texture that the continuation cannot know, and so takes away
            where it has a part, is put back.
    """

    low: float
    high: float
    rim: float
    grain: float


# The first looks best: more of the network in large structure would be 0.1 dB nearer to the truth,
# and a haze where network and patches disagree. The second is nearest to the truth.
SHARES: dict[str, Shares] = {
    "patches": Shares(low=0.4, high=0.1, rim=4.0, grain=0.7),
    "blended": Shares(low=0.75, high=0.35, rim=6.0, grain=0.0),
}
_GRAIN_SIGMA = 2.0  # pixels: what is smaller is grain


def add_detail(
    rgb: np.ndarray,
    structure: np.ndarray,
    hole: np.ndarray,
    known: np.ndarray,
    source: np.ndarray,
    *,
    detail: Detail,
    scale: float,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Give what the network made the texture of what is around.

    Args:
        rgb: float32 (H, W, 3) in [0, 1], a part of a photo.
        structure: float32 (H, W, 3), what the network made of it.
        hole: bool (H, W), the pixels to fill.
        known: bool (H, W), pixels of ``rgb`` that may be looked at, none of ``hole``. The
            others, such as other holes, have no part in the result.
        source: bool (H, W), known pixels that patches may be taken from.
        detail: ``patches`` or ``blended``; see ``SHARES``.
        scale: how much the network's picture was scaled down; at least 1.
        valid: bool (H, W), the known pixels that the photo had from the start and that are
            continued; all that are known where ``None``.

    Returns:
        float32 (H, W, 3) in [0, 1]; ``rgb`` at known pixels. Where the source has fewer patches
        than a sixteenth of the hole's pixels, it is ``structure`` in the hole.
    """
    picture = np.where(hole[..., None], structure, rgb)
    if num_source_patches(source & known) <= _MIN_SOURCE * np.count_nonzero(hole):
        return picture
    shares = SHARES[detail]
    valid = known if valid is None else valid
    depth = depth_in(~valid)
    rim = hole & (depth <= _RIM_DEPTH)
    waves = np.where(rim[..., None], continue_by_waves(rgb, valid, rim), picture)
    deep = hole & (depth > _GIVEN_DEPTH)
    patches = _patches(waves, deep, known | hole, (source & known) | (hole & ~deep))
    difference = np.where(hole[..., None], picture - patches, 0)
    joined = patches + shares.high * difference
    joined += (shares.low - shares.high) * _blur(difference, LOW_BAND_SIGMA * max(1.0, scale))
    share = np.exp(-depth / shares.rim) * np.clip((_RIM_DEPTH - depth) / _RIM_FADE, 0, 1)
    joined += share[..., None] * (waves - joined)
    # what has no likeness to the continuation adds up by its squares
    lost = shares.grain * (np.sqrt(1 - share**2) - (1 - share))
    joined -= lost[..., None] * (difference - _blur(difference, _GRAIN_SIGMA))
    return np.where(hole[..., None], np.clip(joined, 0, 1), rgb).astype(np.float32)


def _patches(
    picture: np.ndarray, hole: np.ndarray, known: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """Fill ``hole`` by patches from ``source``; float32 (H, W, 3), ``picture`` elsewhere."""
    if not hole.any():
        return picture
    rounded = np.rint(np.where(known[..., None], picture, 0) * 255).astype(np.uint8)
    filled = patchmatch(rounded, hole, source=None if (source | hole).all() else source)
    return np.where(hole[..., None], filled / np.float32(255), picture)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Blur float32 (H, W, 3); wide blurs at a lower resolution, where they cost less."""
    height, width = values.shape[:2]
    factor = max(1, int(sigma / _MAX_BLURRED))
    shape = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(values, shape, interpolation=cv2.INTER_AREA) if factor > 1 else values
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
