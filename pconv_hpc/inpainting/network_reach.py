"""How deep into a hole a network's output is defined: it follows from its kernels alone."""

import functools

import numpy as np

from pconv_hpc.foundation.config import ModelConfig
from pconv_hpc.foundation.errors import UsageError

_MAX_LEVELS = 8  # more reach farther, but those of 8 see all of what a network is given


@functools.lru_cache(maxsize=8)
def network_reach(config: ModelConfig) -> int:
    """Return up to which distance from a valid pixel PConvUNet fills holes, in pixels.

    The mask's way through the network is followed for a single valid pixel at every position
    relative to the network's strides, and the shortest way to either side counts. Windows are
    squares, so one dimension tells all, and the distance is the larger of rows and columns.

    Raises:
        UsageError: it fills no hole at all.
    """
    levels = min(config.levels, _MAX_LEVELS)
    stride = 2**levels
    length = stride * (2 * max(*config.encoder_kernels, config.decoder_kernel) + 4)
    positions = length // 2 + np.arange(stride)
    mask = np.zeros((stride, length), dtype=bool)
    mask[np.arange(stride), positions] = True

    skips = []
    for level in range(levels):
        skips.append(mask)
        kernel_size = config.encoder_kernel(level)
        before = kernel_size // 2 if config.padding == "symmetric" else max(kernel_size - 2, 0) // 2
        mask = _window_any(mask, kernel_size, before=before, strides=2)
    while skips:
        mask = np.repeat(mask, 2, axis=1) | skips.pop()
        mask = _window_any(mask, config.decoder_kernel, before=config.decoder_kernel // 2)
    first, last = mask.argmax(axis=1), length - 1 - mask[:, ::-1].argmax(axis=1)
    reach = int(min((positions - first).min(), (last - positions).min()))
    if reach < 1:
        raise UsageError("this network's windows are too small to fill any hole; train another")
    return reach


def _window_any(mask: np.ndarray, kernel_size: int, *, before: int, strides: int = 1) -> np.ndarray:
    """Follow a mask (N, L) through a convolution: valid where its window holds any valid pixel.

    L is a multiple of ``strides``; the first window begins ``before`` pixels before the mask.
    """
    padded = np.pad(mask, ((0, 0), (before, kernel_size)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=1)
    return np.asarray(windows[:, : mask.shape[1] : strides].any(axis=2))
