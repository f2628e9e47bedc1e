"""LPIPS v0.1 (Zhang et al., CVPR 2018): how different two pictures look, by AlexNet's features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from pconv_hpc.evaluation.figures.lpips_weights import CONVOLUTIONS, array_shapes, read_lpips_arrays

# ImageNet's mean and standard deviation, for pictures in [-1, 1].
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)
_EPSILON = 1e-10
MIN_SIDE = 32  # below it nothing is left for the last layers


class LPIPSFeatures(keras.layers.Layer):
    """AlexNet's five ReLU outputs, each normalised to unit length over channels.

    Called with RGB pictures (B, H, W, 3) in [0, 1], H and W at least 32.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.convolutions = []
        for c in CONVOLUTIONS:
            layer = keras.layers.Conv2D(
                c.filters, c.window, strides=c.stride, activation="relu", name=c.name
            )
            layer.build((None, None, None, c.channels))
            layer.kernel.assign(arrays[f"{c.name}.weight"].transpose(2, 3, 1, 0))
            layer.bias.assign(arrays[f"{c.name}.bias"])
            self.convolutions.append(layer)

    def call(self, images: Any) -> list[Any]:
        x = (images * 2.0 - 1.0 - _SHIFT) / _SCALE
        features = []
        for layer, c in zip(self.convolutions, CONVOLUTIONS, strict=True):
            if c.pooled_before:
                x = ops.max_pool(x, 3, strides=2, padding="valid")
            margin = (c.padding, c.padding)
            x = layer(ops.pad(x, ((0, 0), margin, margin, (0, 0))))
            length = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))
            features.append(x / (length + _EPSILON))
        return features


class LPIPS:
    """Distance of pictures to one another, 0 for equal ones; seldom above 1.

    Args:
        arrays: float32 by name, see ``lpips_weights.array_shapes``.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        pictures = keras.Input((None, None, 3))
        self._features = keras.Model(pictures, LPIPSFeatures(arrays, name="alexnet")(pictures))
        self._heads = [
            arrays[f"lin{number}.model.1.weight"].reshape(-1) for number in range(len(CONVOLUTIONS))
        ]

    def features(self, images: np.ndarray) -> list[np.ndarray]:
        """Return what ``distance`` compares, of float32 pictures (B, H, W, 3) in [0, 1]."""
        return [np.asarray(f) for f in self._features.predict_on_batch(images)]

    def distance(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
        """Return float64 (B,) for two batches of features; a batch of one fits any other."""
        parts = [
            np.mean(np.square(a - b, dtype=np.float64) @ head, axis=(1, 2))
            for a, b, head in zip(first, second, self._heads, strict=True)
        ]
        return np.asarray(sum(parts))

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the distances, float64 (B,), of pictures float32 (B, H, W, 3) in [0, 1]."""
        return self.distance(self.features(first), self.features(second))


def load_lpips(paths: Sequence[Path]) -> LPIPS:
    """Return LPIPS with the weights of .npz files, or of folders with them.

    Raises:
        UsageError: see ``read_lpips_arrays``.
    """
    arrays = read_lpips_arrays(paths)
    return LPIPS({name: arrays[name] for name in array_shapes()})
