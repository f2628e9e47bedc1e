"""A photo continued into the rim of its holes by a few waves that fit what is around.

Frequency-selective extrapolation after Seiler & Kaup, "Complex-Valued Frequency Selective
Extrapolation for Fast Image and Video Signal Extrapolation" (IEEE SPL 2010): each small block of a
hole is described by the waves that, added up one at a time, explain the known pixels around it
best; nearer pixels count more. Next to a hole's edge nothing that was tried here is nearer to the
truth. OpenCV's contributed modules have a relative of it that goes through whole holes block after
block, which takes seconds; here the blocks of a rim alone are worked on, many at once.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

# RGB to luma and two colour differences (ITU-R BT.601): colour needs fewer waves than brightness
_TO_YCC = np.array(
    [[0.299, -0.168736, 0.5], [0.587, -0.331264, -0.418688], [0.114, 0.5, -0.081312]], np.float32
)
_FROM_YCC = np.array([[1, 1, 1], [0, -0.344136, 1.772], [1.402, -0.714136, 0]], np.float32)
_NUM_WAVES = (20, 8, 8)

_BLOCK = 4  # pixels a side of what is predicted at once
_WINDOW = 32  # pixels a side of what it is predicted from
_DECAY = (
    0.7  # how much less a known pixel counts with each pixel of distance from the window's centre
)
_STEP = 0.5  # share of a wave that is taken: waves on an irregular set of pixels are not orthogonal
_BLOCKS_AT_ONCE = 48  # what stays in a core's cache
_MARGIN = (_WINDOW - _BLOCK) // 2
_HALF = _WINDOW // 2 + 1  # columns of half a spectrum; the other half is its mirror image


def continue_by_waves(rgb: np.ndarray, known: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """Predict the pixels of a rim from the known pixels near them.

    Args:
        rgb: float32 (H, W, 3) in [0, 1]; only known pixels are looked at.
        known: bool (H, W).
        rim: bool (H, W), the pixels wanted.

    Returns:
        float32 (H, W, 3) in [0, 1] with a value in every 4 × 4 square that holds a pixel of
        ``rim`` and has known pixels within 14 pixels; 0 elsewhere.
    """
    height, width = known.shape
    corners = _blocks_with(rim)
    ycc = np.where(known[..., None], rgb, 0).astype(np.float32) @ _TO_YCC
    pad = (_MARGIN, _MARGIN + _BLOCK)
    ycc = np.pad(ycc, (pad, pad, (0, 0)))
    weights = np.pad(known.astype(np.float32), (pad, pad))
    result = np.zeros((height + _BLOCK, width + _BLOCK, 3), np.float32)
    inside = np.arange(_BLOCK)
    for first in range(0, len(corners), _BLOCKS_AT_ONCE):
        rows, columns = corners[first : first + _BLOCKS_AT_ONCE].T[..., None, None]
        windows = (rows + np.arange(_WINDOW)[:, None], columns + np.arange(_WINDOW))
        blocks = _extrapolate(ycc[windows], weights[windows])
        result[rows + inside[:, None], columns + inside] = blocks
    return np.clip(result[:height, :width] @ _FROM_YCC, 0, 1)


def _blocks_with(rim: np.ndarray) -> np.ndarray:
    """Return the top left corners, int (N, 2), of the blocks that hold a pixel of ``rim``."""
    rows, columns = (-(-side // _BLOCK) for side in rim.shape)
    padded = np.zeros((rows * _BLOCK, columns * _BLOCK), dtype=bool)
    padded[: rim.shape[0], : rim.shape[1]] = rim
    return np.argwhere(padded.reshape(rows, _BLOCK, columns, _BLOCK).any((1, 3))) * _BLOCK


def _extrapolate(windows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Predict the middle of each window.

    Args:
        windows: float32 (N, 32, 32, 3).
        known: float32 (N, 32, 32), 1 = known, 0 = not.

    Returns:
        float32 (N, 4, 4, 3); 0 where a window knows nothing.
    """
    weights = known * _NEARNESS
    total = weights.sum((1, 2))
    nothing = total <= 0
    total = np.where(nothing, 1, total)
    mean = (windows * weights[..., None]).sum((1, 2)) / total[:, None]
    residual = (windows - mean[:, None, None]) * weights[..., None]
    spectra = fft.rfft2(residual, axes=(1, 2)).astype(np.complex64)
    leaks = _Leaks(weights, total)
    model = np.zeros((3, len(windows), _WINDOW * _HALF), np.complex64)
    for channel, num_waves in enumerate(_NUM_WAVES):
        spectrum = np.ascontiguousarray(spectra[..., channel]).reshape(len(windows), -1)
        leaks.explain(spectrum, model[channel], num_waves)
    shape = (3, len(windows), _WINDOW, _HALF)
    waves = fft.irfft2(model.reshape(shape), s=(_WINDOW, _WINDOW), axes=(2, 3)) * _WINDOW**2
    middle = slice(_MARGIN, _MARGIN + _BLOCK)
    blocks = waves[:, :, middle, middle].transpose(1, 2, 3, 0) + mean[:, None, None]
    return np.where(nothing[:, None, None, None], 0, blocks).astype(np.float32)


@dataclass
class _Leaks:
    """How a wave shows in the spectrum of the known pixels alone: the weights' spectrum, shifted.

    Attributes:
        weights: float32 (N, 32, 32).
        total: their sums, (N,).
    """

    weights: np.ndarray
    total: np.ndarray

    def __post_init__(self) -> None:
        # repeated in all directions, so that a shifted spectrum is one stretch of indices
        spectrum = fft.fft2(self.weights).astype(np.complex64)
        rows = np.arange(-_WINDOW, 2 * _WINDOW) % _WINDOW
        columns = np.arange(-_HALF, 2 * _HALF) % _WINDOW
        repeated = spectrum[:, rows[:, None], columns]
        self._values = np.ascontiguousarray(repeated).ravel()
        self._stride = repeated.shape[2]
        self._first = np.arange(len(repeated)) * (repeated.shape[1] * repeated.shape[2])
        lines = np.arange(_WINDOW)[:, None] * self._stride + np.arange(_HALF)
        self._offsets = lines.ravel()

    def explain(self, spectrum: np.ndarray, model: np.ndarray, num_waves: int) -> None:
        """Move what waves explain from ``spectrum`` to ``model``, complex64 (N, 544) each."""
        block = np.arange(len(spectrum))
        for _ in range(num_waves):
            energy = (spectrum.real**2 + spectrum.imag**2) * _LOWPASS
            strongest = energy.argmax(1)
            row, column = np.divmod(strongest, _HALF)
            on_edge = (column == 0) | (column == _WINDOW // 2)
            real = on_edge & ((row == 0) | (row == _WINDOW // 2))  # such a wave is its own mirror
            amount = _STEP * spectrum[block, strongest] / self.total
            amount = np.where(real, amount / 2, amount).astype(np.complex64)
            spectrum -= amount[:, None] * self._shifted(-row, -column)
            spectrum -= amount.conj()[:, None] * self._shifted(row, column)
            model[block, strongest] += np.where(real, 2 * amount, amount)
            mirrored = np.flatnonzero(on_edge & ~real)
            mirror = (-row[mirrored] % _WINDOW) * _HALF + column[mirrored]
            model[mirrored, mirror] += amount[mirrored].conj()

    def _shifted(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return the weights' spectra from (row, column) on, complex64 (N, 544)."""
        first = self._first + (row + _WINDOW) * self._stride + column + _HALF
        return self._values[first[:, None] + self._offsets]


def _nearness() -> np.ndarray:
    distance = np.arange(_WINDOW) - (_WINDOW - 1) / 2
    return (_DECAY ** np.hypot(distance[:, None], distance)).astype(np.float32)


def _lowpass() -> np.ndarray:
    """Return how likely a wave is, squared: photos have more of the long ones."""
    rows = np.minimum(np.arange(_WINDOW), _WINDOW - np.arange(_WINDOW))
    frequency = np.hypot(rows[:, None], np.arange(_HALF)) * np.sqrt(2) / _WINDOW
    return (np.clip(1 - frequency, 0.05, 1) ** 2).astype(np.float32).ravel()


_NEARNESS = _nearness()
_LOWPASS = _lowpass()
