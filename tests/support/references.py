"""The paper's formulas, written as literally as NumPy allows, and small data to try them on."""

import numpy as np


def partial_conv(
    features: list[np.ndarray],
    masks: list[np.ndarray],
    kernel: np.ndarray,
    bias: np.ndarray,
    stride: int,
    padding: str = "same",
) -> tuple[np.ndarray, np.ndarray]:
    """Equations (1) and (2) of Liu et al. 2018, window by window, with a mask for every channel."""
    x = np.concatenate(features, axis=-1).astype(np.float64)
    m = np.concatenate(
        [np.repeat(mask, f.shape[-1], axis=-1) for f, mask in zip(features, masks, strict=True)],
        axis=-1,
    ).astype(np.float64)
    k, _, _, filters = kernel.shape
    batch, height, width, _ = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    pads = [(0, 0)]
    for size, steps in ((height, rows), (width, columns)):
        total = max((steps - 1) * stride + k - size, 0)
        same = (total // 2, total - total // 2)
        pads.append(same if padding == "same" else (k // 2, k // 2))
    pads.append((0, 0))
    x, m = np.pad(x, pads), np.pad(m, pads)
    output = np.zeros((batch, rows, columns, filters))
    new_mask = np.zeros((batch, rows, columns, 1))
    for b, i, j in np.ndindex(batch, rows, columns):
        window = (b, slice(i * stride, i * stride + k), slice(j * stride, j * stride + k))
        sum_of_mask = m[window].sum()
        if sum_of_mask > 0:
            product = np.tensordot(x[window] * m[window], kernel.astype(np.float64), axes=3)
            output[b, i, j] = product * m[window].size / sum_of_mask + bias
            new_mask[b, i, j] = 1
    return output, new_mask


def photo(rng: np.random.Generator, batch: int, height: int, width: int) -> np.ndarray:
    """Return a smooth random picture with noise on it: float32 (B, H, W, 3) in [0, 1]."""
    y, x = (axis[..., None] / 20.0 for axis in np.mgrid[0:height, 0:width])
    waves = [np.sin(x * rng.uniform(0.5, 2, 3) + y + rng.uniform(0, 6, 3)) for _ in range(batch)]
    noise = rng.normal(0, 0.05, (batch, height, width, 3))
    return np.clip(np.stack(waves) / 3 + 0.5 + noise, 0, 1).astype(np.float32)


def valid_mask(rng: np.random.Generator, batch: int, height: int, width: int) -> np.ndarray:
    """Return masks with a box-shaped hole and scattered ones: uint8 (B, H, W, 1), 1 = valid."""
    masks = (rng.random((batch, height, width, 1)) > 0.1).astype(np.uint8)
    masks[:, height // 4 : height // 2 + 1, width // 3 : 2 * width // 3 + 1] = 0
    return masks
