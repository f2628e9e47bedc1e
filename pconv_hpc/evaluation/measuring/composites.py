"""Photos with an object pasted in: what was behind it is known, so erasing it can be judged."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.masks.mask_growing import without_specks
from pconv_hpc.masks.mask_shapes import Region
from pconv_hpc.masks.silhouettes import Silhouettes

_MIN_AREA, _MAX_AREA = 0.03, 0.15  # of the photo
# Of a photo that is not square, its side is that of a square of its area.
_MARGIN = 1 / 8  # of the shorter side: object, shadow and dilated mask stay inside the photo
_EDGE_BLUR = 1 / 256  # of the side: standard deviation of a silhouette's soft edge
_SHADOW_STRENGTH = 0.5
_SHADOW_FOOT = 0.15  # of the object's height: the part that touches the ground
_SHADOW_BLUR = 0.03  # of the square root of the object's area
_MAX_DRAWS = 20
_NUM_FIGURES = 24
_FIGURE_SIDE = 128


@dataclass(frozen=True)
class Composite:
    """A photo with a known background.

    Attributes:
        picture: uint8 (H, W, 3), the background with the object on it.
        background: uint8 (H, W, 3), what erasing should bring back.
        silhouette: bool (H, W), where the object covers at least half of a pixel.
    """

    picture: np.ndarray
    background: np.ndarray
    silhouette: np.ndarray


def paste_object(
    background: np.ndarray,
    texture: np.ndarray,
    silhouettes: Silhouettes,
    rng: np.random.Generator,
) -> Composite:
    """Paste an object, cut out of another photo, on a background.

    Its edge is as soft as a camera's, and at its foot it throws a contact shadow, which reaches
    farther than the object: both are what an exact mask leaves behind.

    Args:
        background: uint8 (H, W, 3).
        texture: uint8 (h, w, 3), the photo whose pixels the object shows: its middle, enlarged
            where it is the smaller one.
        silhouettes: its outline is one of these, 3% to 15% of the photo.
        rng: decides which, where and how large.

    Raises:
        UsageError: the outlines are so fine that scaling leaves nothing of them.
    """
    height, width = background.shape[:2]
    region = Region(height, width, round(min(height, width) * _MARGIN))
    area = height * width * rng.uniform(_MIN_AREA, _MAX_AREA)
    shape, opacity = _draw_object(silhouettes, rng, region, area)
    shadow = _SHADOW_STRENGTH * _contact_shadow(shape)
    ground = background * (1.0 - shadow[..., np.newaxis])
    alpha = opacity[..., np.newaxis]
    covering = _cover(texture, (height, width))
    picture = np.round(alpha * covering + (1.0 - alpha) * ground).astype(np.uint8)
    return Composite(picture, background, opacity >= 0.5)


def _cover(texture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the middle of a photo, (H, W, 3); a smaller one is enlarged until it covers that."""
    height, width = shape
    factor = max(1.0, height / texture.shape[0], width / texture.shape[1])
    if factor > 1:
        sides = (
            max(width, round(texture.shape[1] * factor)),
            max(height, round(texture.shape[0] * factor)),
        )
        texture = np.asarray(Image.fromarray(texture).resize(sides, Image.Resampling.BICUBIC))
    top, left = (texture.shape[0] - height) // 2, (texture.shape[1] - width) // 2
    return texture[top : top + height, left : left + width]


def _draw_object(
    silhouettes: Silhouettes, rng: np.random.Generator, region: Region, area: float
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return where an object is, (H, W), and how much of each pixel it covers."""
    for _ in range(_MAX_DRAWS):
        # no specks: mask shaping would drop them, and no method could erase them
        shape = without_specks(silhouettes.draw(rng, region, area))
        blur = max(0.7, region.side * _EDGE_BLUR)
        opacity = ndimage.gaussian_filter(shape.astype(np.float32), blur)
        if (opacity >= 0.5).any():
            return shape, opacity
    raise UsageError(
        f"--objects-from: {_MAX_DRAWS} objects in a row had outlines so fine (nets, fences) that "
        f"nothing was left of them on a photo of {region.width} x {region.height} pixels; expected "
        "solid objects: name others, or a larger --size"
    )


def _contact_shadow(shape: np.ndarray) -> np.ndarray:
    """Return how much of the light each pixel of the ground lacks, float (H, W) in [0, 1]."""
    rows = np.flatnonzero(shape.any(axis=1))
    height = len(rows)
    foot = shape.copy()
    foot[: rows[-1] + 1 - max(1, round(_SHADOW_FOOT * height))] = False
    blur = max(1.0, _SHADOW_BLUR * float(np.sqrt(np.count_nonzero(shape))))
    below = ndimage.shift(foot.astype(np.float32), (blur, 0.0), order=1)
    return np.asarray(ndimage.gaussian_filter(np.maximum(foot, below), blur))


def write_figures(folder: Path, *, seed: int) -> None:
    """Draw figures of a few overlapping ellipses as mask PNGs, white on black.

    They stand in for silhouettes of real objects where there are none.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_NUM_FIGURES):
        image = Image.new("L", (_FIGURE_SIDE, _FIGURE_SIDE))
        draw = ImageDraw.Draw(image)
        centre: NDArray[np.float64] = np.full(2, _FIGURE_SIDE / 2)
        for _ in range(int(rng.integers(3, 6))):
            radii = rng.uniform(0.08, 0.2, 2) * _FIGURE_SIDE
            draw.ellipse((*(centre - radii), *(centre + radii)), fill=255)
            # the next one begins within this one, so that the figure is in one piece
            step = rng.uniform(-0.9, 0.9, 2) * radii
            centre = np.clip(centre + step, 0.25 * _FIGURE_SIDE, 0.75 * _FIGURE_SIDE)
        image.save(folder / f"figure_{number:02d}.png")
