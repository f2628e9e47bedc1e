"""Photos and masks to the network's resolution and back, with nothing leaking out of holes."""

import numpy as np
from PIL import Image

from pconv_hpc.photos.photo import Box


def reduced_shape(height: int, width: int, factor: float) -> tuple[int, int]:
    """Return the size of a picture scaled down by ``factor`` >= 1, at least 1 x 1."""
    return max(1, round(height / factor)), max(1, round(width / factor))


def reduce_photo(
    rgb: np.ndarray, valid: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Scale a photo with holes down, antialiased.

    A reduced pixel is valid if no hole pixel had a part in it. If that leaves none in the whole
    picture, it is valid if any valid pixel had a part, and is the mean of those alone.

    Args:
        rgb: float32 (H, W, 3).
        valid: bool (H, W), true = valid.
        shape: the reduced height and width, not larger than H and W.

    Returns:
        float32 (h, w, 3), 0 in holes, and bool (h, w).
    """
    if shape == valid.shape:
        return np.where(valid[..., None], rgb, np.float32(0)), valid
    # Hamming is the sharpest of Pillow's filters whose weights are never negative: without that a
    # sum of 0 would not mean that no hole had a part, nor could sums be divided.
    masked = np.where(valid[..., None], rgb, np.float32(0))
    reduced = resize(masked, shape, Image.Resampling.HAMMING)
    holes = resize((~valid).astype(np.float32), shape, Image.Resampling.HAMMING)
    reduced_valid = holes <= 0
    if not reduced_valid.any():
        shares = resize(valid.astype(np.float32), shape, Image.Resampling.HAMMING)
        reduced_valid = shares > 0
        reduced = reduced / np.maximum(shares, np.finfo(np.float32).tiny)[..., None]
    return np.where(reduced_valid[..., None], reduced, np.float32(0)), reduced_valid


def enlarge_photo(rgb: np.ndarray, shape: tuple[int, int], part: Box | None = None) -> np.ndarray:
    """Scale a float32 photo (h, w, 3) up to ``shape``, bicubic; return all or a part of that."""
    if part is None:
        return resize(rgb, shape, Image.Resampling.BICUBIC)
    if rgb.shape[:2] == shape:
        return rgb[part.slices]
    down, across = rgb.shape[0] / shape[0], rgb.shape[1] / shape[1]
    area = (part.left * across, part.top * down, part.right * across, part.bottom * down)
    return resize(rgb, (part.height, part.width), Image.Resampling.BICUBIC, area=area)


def resize(
    values: np.ndarray,
    shape: tuple[int, int],
    resampling: Image.Resampling,
    *,
    area: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Resize float32 (h, w) or (h, w, C) in float, without clipping.

    Args:
        values: the picture.
        shape: the new height and width.
        resampling: Pillow's filter.
        area: left, top, right, bottom of the part of ``values`` to resize; all of it if ``None``.
    """
    if values.shape[:2] == shape and area is None:
        return values
    if values.ndim == 3:
        planes = [
            resize(values[..., c], shape, resampling, area=area) for c in range(values.shape[2])
        ]
        return np.stack(planes, axis=2)
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), resampling, box=area))
