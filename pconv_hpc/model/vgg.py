"""The features of VGG16 that perceptual and style loss compare, with the original weights."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from pconv_hpc.foundation.arrays.hdf5 import get_dataset, open_for_reading
from pconv_hpc.foundation.arrays.npz import read_float_arrays
from pconv_hpc.foundation.errors import UsageError

# The mean colour the original network was trained with, RGB in [0, 255].
MEAN_RGB = (123.68, 116.779, 103.939)
_WINDOW = 3


class _Convolution(NamedTuple):
    keras_name: str
    torchvision_name: str
    channels: int
    filters: int
    pooled: bool  # a 2×2 max pooling follows


_CONVOLUTIONS = (
    _Convolution("block1_conv1", "features.0", 3, 64, False),
    _Convolution("block1_conv2", "features.2", 64, 64, True),
    _Convolution("block2_conv1", "features.5", 64, 128, False),
    _Convolution("block2_conv2", "features.7", 128, 128, True),
    _Convolution("block3_conv1", "features.10", 128, 256, False),
    _Convolution("block3_conv2", "features.12", 256, 256, False),
    _Convolution("block3_conv3", "features.14", 256, 256, True),
)


class VGG16Features(keras.layers.Layer):
    """pool1, pool2 and pool3 of VGG16 (Simonyan & Zisserman 2015), divided by 255; not trainable.

    Called with RGB images (B, H, W, 3) in [0, 1], H and W at least 8; returns a list of three
    tensors of the compute dtype: (B, H/2, W/2, 64), (B, H/4, W/4, 128), (B, H/8, W/8, 256).

    The original network takes ``255·x - mean`` and gives features in the hundreds; the loss weights
    of Liu et al. 2018 are meant for features of images in [0, 1]. A stack of convolutions, ReLU and
    max pooling is positively homogeneous, so dividing the input and every bias by 255 divides every
    feature by 255: that is how the variables here differ from the files'.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.convolutions = [
            keras.layers.Conv2D(
                c.filters,
                _WINDOW,
                padding="same",
                activation="relu",
                name=c.keras_name,
                dtype=self.dtype_policy,
                trainable=False,
            )
            for c in _CONVOLUTIONS
        ]

    def build(self, input_shape: Any) -> None:
        for layer, c in zip(self.convolutions, _CONVOLUTIONS, strict=True):
            layer.build((None, None, None, c.channels))

    def call(self, images: Any) -> list[Any]:
        x = images - ops.cast(np.array(MEAN_RGB) / 255.0, images.dtype)
        features = []
        for layer, c in zip(self.convolutions, _CONVOLUTIONS, strict=True):
            x = layer(x)
            if c.pooled:
                x = ops.max_pool(x, 2, strides=2, padding="valid")
                features.append(x)
        return features

    def assign(self, arrays: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Take kernels (3, 3, C_in, C_out) for RGB and biases (C_out,) of the original scale."""
        for layer, (kernel, bias) in zip(self.convolutions, arrays, strict=True):
            layer.kernel.assign(kernel)
            layer.bias.assign(bias / 255.0)


def load_vgg16(path: Path, *, dtype: str = "float32") -> VGG16Features:
    """Return VGG16 up to pool3 with the weights of a file.

    Args:
        path: Keras' ``vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`` (kernels for BGR), or an
            ``.npz`` with torchvision's names ``features.0.weight`` … (OIHW, for RGB, of the
            original Caffe weights: input in [0, 255] less the mean colour).
        dtype: Keras dtype policy to compute in.

    Raises:
        UsageError: the file is of neither kind, lacks an array or holds one of another shape.
    """
    path = Path(path)
    read = _read_npz if path.suffix == ".npz" else _read_keras_h5
    vgg = VGG16Features(dtype=dtype, name="vgg16")
    vgg.build((None, None, None, 3))
    vgg.assign(read(path))
    return vgg


def _read_keras_h5(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    arrays = []
    with open_for_reading(path) as file:
        for c in _CONVOLUTIONS:
            pair = []
            shapes = ((_WINDOW, _WINDOW, c.channels, c.filters), (c.filters,))
            for kind, shape in zip("Wb", shapes, strict=True):
                name = f"{c.keras_name}/{c.keras_name}_{kind}_1:0"
                dataset = get_dataset(file, name)
                _check(path, name, dataset.shape, dataset.dtype, shape)
                pair.append(dataset[()].astype(np.float32))
            arrays.append((pair[0], pair[1]))
    kernel, bias = arrays[0]
    arrays[0] = kernel[:, :, ::-1, :], bias
    return arrays


def _read_npz(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for c in _CONVOLUTIONS:
        shapes[f"{c.torchvision_name}.weight"] = (c.filters, c.channels, _WINDOW, _WINDOW)
        shapes[f"{c.torchvision_name}.bias"] = (c.filters,)
    arrays = read_float_arrays(path, shapes, expected="torchvision's names for VGG16")
    return [
        (
            arrays[f"{c.torchvision_name}.weight"].transpose(2, 3, 1, 0),
            arrays[f"{c.torchvision_name}.bias"],
        )
        for c in _CONVOLUTIONS
    ]


def _check(
    path: Path, name: str, found: tuple[int, ...], dtype: np.dtype[Any], expected: tuple[int, ...]
) -> None:
    if tuple(found) != expected or dtype.kind != "f":
        raise UsageError(
            f"{path}: {name!r} has shape {tuple(found)} and type {dtype}; "
            f"expected {expected} of floating-point numbers"
        )
