"""Partial convolution: a convolution that looks only at valid pixels and says where it saw any."""

from typing import Any

import keras
from keras import ops

Shape = tuple[int | None, ...]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _shapes_as_list(shape: Any) -> list[Shape]:
    several = isinstance(shape, list | tuple) and isinstance(shape[0], list | tuple)
    return list(shape) if several else [shape]


@keras.saving.register_keras_serializable(package="pconv_hpc")
class PartialConv2D(keras.layers.Layer):
    """2D partial convolution (Liu et al. 2018, equations 1 and 2).

    At each position, with X and M the features and the mask under the window, W the kernel, b the
    bias::

        x' = W^T (X ⊙ M) · sum(1) / sum(M) + b   and   m' = 1    where sum(M) > 0
        x' = 0                                   and   m' = 0    elsewhere

    Both sums run over the window *and its channels*: ``sum(1)`` is ``k·k·C_in``. Padding counts as
    hole, so at the borders ``sum(M)`` shrinks and ``sum(1)`` does not. All channels of one tensor
    share one mask, which therefore has a single channel.

    Called as ``layer(features, masks)`` with float features (B, H, W, C) and a mask (B, H, W, 1) of
    1 = valid, 0 = hole. Both may be lists of equal length: the features are concatenated along the
    channels, each keeping its own mask, as a U-Net's decoder needs. Returns features
    (B, ⌈H/s⌉, ⌈W/s⌉, filters) and their mask (B, ⌈H/s⌉, ⌈W/s⌉, 1), both of the compute dtype; the
    features are exactly 0 wherever the mask is. Mask sums and their ratio are float32 under every
    dtype policy.

    Args:
        filters: number of output channels.
        kernel_size: side k of the square window, odd.
        strides: step s of the window in both directions.
        padding: ``same`` as Keras pads, or ``symmetric``: k // 2 on all sides, as PyTorch does.
            They differ where s > 1, and give the same shapes.
        use_bias: add b; without it the layer is linear in the features.
        input_is_masked: the caller promises features that are already 0 in their holes, so that the
            product X ⊙ M need not be taken again.
        kernel_initializer: of the kernel (k, k, C_in, filters).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        padding: str = "same",
        use_bias: bool = True,
        input_is_masked: bool = False,
        kernel_initializer: Any = "he_normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.use_bias = use_bias
        self.input_is_masked = input_is_masked
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, features_shape: Any, masks_shape: Any = None) -> None:
        channels = sum(shape[-1] or 0 for shape in _shapes_as_list(features_shape))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = (
            self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
            if self.use_bias
            else None
        )

    def call(self, features: Any, masks: Any) -> tuple[Any, Any]:
        features, masks = _as_list(features), _as_list(masks)
        ratio, new_mask = self._renormalisation([x.shape[-1] for x in features], masks)
        if not self.input_is_masked:
            features = [x * ops.cast(m, x.dtype) for x, m in zip(features, masks, strict=True)]
        masked = ops.concatenate(features, axis=-1) if len(features) > 1 else features[0]
        output = self._convolve(masked, self.kernel)
        output = output * ops.cast(ratio, output.dtype)
        new_mask = ops.cast(new_mask, output.dtype)
        if self.bias is not None:
            output = output + self.bias * new_mask
        return output, new_mask

    def _renormalisation(self, channels: list[int], masks: list[Any]) -> tuple[Any, Any]:
        """Return sum(1) / sum(M), 0 where nothing is valid, and m' as a boolean; (B, H', W', 1)."""
        weighted = sum(
            c * ops.cast(m, "float32") for c, m in zip(channels, masks, strict=True)
        )  # one channel that sums to what the mask of all channels would
        ones = ops.ones((self.kernel_size, self.kernel_size, 1, 1), dtype="float32")
        mask_sum = self._convolve(weighted, ones)
        new_mask = mask_sum > 0.5  # a sum of whole numbers, up to rounding
        window_size = float(self.kernel_size**2 * sum(channels))
        ratio = ops.where(new_mask, window_size / ops.maximum(mask_sum, 1.0), 0.0)
        return ratio, new_mask

    def _convolve(self, x: Any, kernel: Any) -> Any:
        if self.padding == "same" or self.strides == 1:
            return ops.conv(x, kernel, strides=self.strides, padding="same")
        side = (self.kernel_size // 2, self.kernel_size // 2)
        padded = ops.pad(x, ((0, 0), side, side, (0, 0)))
        return ops.conv(padded, kernel, strides=self.strides, padding="valid")

    def compute_output_shape(
        self, features_shape: Any, masks_shape: Any = None
    ) -> tuple[Shape, Shape]:
        batch, height, width, _ = _shapes_as_list(features_shape)[0]
        rows, columns = (n if n is None else -(-n // self.strides) for n in (height, width))
        return (batch, rows, columns, self.filters), (batch, rows, columns, 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "input_is_masked": self.input_is_masked,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def upsample_nearest(x: Any) -> Any:
    """Repeat every pixel of (B, H, W, C) twice in both directions: (B, 2H, 2W, C).

    One axis after the other, because adding up the gradient over two axes at once takes several
    times as long; and no resize, whose gradient on GPUs may differ from run to run.
    """
    return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
