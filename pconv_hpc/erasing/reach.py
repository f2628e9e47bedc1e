"""How deep into a hole a network's output is defined: it follows from its kernels alone."""

import functools

import numpy as np

from pconv_hpc.config import ModelConfig
from pconv_hpc.errors import UsageError
from pconv_hpc.model.unet import encoder_kernel

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
        mask = _window_any(mask, encoder_kernel(config, level), strides=2)
    while skips:
        mask = _window_any(np.repeat(mask, 2, axis=1) | skips.pop(), config.decoder_kernel)
    first, last = mask.argmax(axis=1), length - 1 - mask[:, ::-1].argmax(axis=1)
    reach = int(min((positions - first).min(), (last - positions).min()))
    if reach < 1:
        raise UsageError("this network's windows are too small to fill any hole; train another")
    return reach


def _window_any(mask: np.ndarray, kernel_size: int, strides: int = 1) -> np.ndarray:
    """Follow a mask (N, L) through a convolution: valid where its window holds any valid pixel."""
    padding = max(kernel_size - strides, 0)  # "same", of an even length
    padded = np.pad(mask, ((0, 0), (padding // 2, padding - padding // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=1)
    return np.asarray(windows[:, ::strides].any(axis=2))
