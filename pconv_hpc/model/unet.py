"""PConvUNet: the U-Net of partial convolutions that fills the holes of a photo."""

from typing import Any

import keras
from keras import ops

from pconv_hpc.foundation.config import (
    IMAGE_CHANNELS,
    ModelConfig,
    config_to_mapping,
    model_config_from_mapping,
)
from pconv_hpc.model.partial_conv import PartialConv2D, upsample_nearest

# Mean and deviation of RGB in [0, 1] for each of ModelConfig.pixels but "unit".
_PIXEL_STATISTICS = {
    "signed": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@keras.saving.register_keras_serializable(package="pconv_hpc")
class PConvBlock(keras.layers.Layer):
    """Partial convolution, batch norm and (leaky) ReLU: one layer of table 2 of Liu et al. 2018.

    Called as ``block(features, masks)`` like ``PartialConv2D``; takes features that are 0 in their
    holes and returns such features.

    Args:
        filters: number of output channels.
        kernel_size: side of the window, odd.
        strides: step of the window.
        padding: see ``PartialConv2D``.
        use_batch_norm: normalise; the convolution then needs no bias.
        negative_slope: of the activation: 0 for ReLU, 1 for none.
        momentum: of the moving statistics of batch norm.
        epsilon: of batch norm.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        padding: str = "same",
        use_batch_norm: bool = True,
        negative_slope: float = 0.0,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.use_batch_norm = use_batch_norm
        self.negative_slope = negative_slope
        self.momentum = momentum
        self.epsilon = epsilon
        self.partial_conv = PartialConv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=not use_batch_norm,
            input_is_masked=True,
            kernel_initializer=keras.initializers.VarianceScaling(
                scale=2.0 / (1.0 + negative_slope**2), mode="fan_in"
            ),  # He et al. 2015, equation 15
            name="partial_conv",
            dtype=self.dtype_policy,
        )
        self.batch_norm: keras.layers.BatchNormalization | None = None
        if use_batch_norm:
            self.batch_norm = keras.layers.BatchNormalization(
                momentum=momentum, epsilon=epsilon, name="batch_norm", dtype=self.dtype_policy
            )

    def build(self, features_shape: Any, masks_shape: Any = None) -> None:
        self.partial_conv.build(features_shape, masks_shape)
        if self.batch_norm is not None:
            self.batch_norm.build((None, None, None, self.filters))

    def call(self, features: Any, masks: Any, training: bool | None = None) -> tuple[Any, Any]:
        x, mask = self.partial_conv(features, masks)
        if self.batch_norm is not None:
            x = self.batch_norm(x, training=training)
        if self.negative_slope == 0:
            x = ops.relu(x)
        elif self.negative_slope < 1:
            x = ops.leaky_relu(x, negative_slope=self.negative_slope)
        if self.batch_norm is not None:  # its shift has filled the holes
            x = x * mask
        return x, mask

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "padding", "use_batch_norm")
        others = ("negative_slope", "momentum", "epsilon")
        values = {name: getattr(self, name) for name in (*names, *others)}
        return {**super().get_config(), **values}


@keras.saving.register_keras_serializable(package="pconv_hpc")
class PConvUNet(keras.Model):
    """The U-Net of Liu et al. 2018 (section 3.2, table 2), of any depth and width, for any size.

    Called as ``model([images, masks])`` with float RGB images (B, H, W, 3) in [0, 1] and masks
    (B, H, W, 1), 1 = valid, 0 = hole, of any dtype. Returns float32 (B, H, W, 3), linear (clip it
    to show it), for every pixel; what lies under the holes never influences it, not even if it is
    not a number. Sizes that are no multiple of ``2**levels`` are padded with holes at the bottom
    and the right, and the output is cropped back.

    The encoder's activation is ReLU and the decoder's leaky ReLU; there is batch norm in every
    layer but the first and the last. The last layer computes in float32 under every dtype policy,
    for 8 bits of mantissa are too few for a photo. Images and output are RGB in [0, 1] whatever
    ``config.pixels`` has the layers compute with.
    """

    def __init__(self, config: ModelConfig | dict[str, Any], **kwargs: Any) -> None:
        # autocast would round the photo itself to the compute dtype
        super().__init__(autocast=False, **kwargs)
        self.config = (
            config if isinstance(config, ModelConfig) else model_config_from_mapping(config)
        )
        momentum, epsilon = self.config.batch_norm_momentum, self.config.batch_norm_epsilon
        channels = self.config.encoder_channels
        self.encoder = [
            PConvBlock(
                channels[level],
                self.config.encoder_kernel(level),
                strides=2,
                padding=self.config.padding,
                use_batch_norm=level > 0,
                name=f"encoder_{level + 1}",
                dtype=self.dtype_policy,
                momentum=momentum,
                epsilon=epsilon,
            )
            for level in range(self.config.levels)
        ]
        self.decoder = [
            PConvBlock(
                channels[level - 1] if level else IMAGE_CHANNELS,
                self.config.decoder_kernel,
                use_batch_norm=level > 0,
                negative_slope=self.config.leaky_slope if level else 1.0,
                name=f"decoder_{level + 1}",
                dtype=self.dtype_policy if level else "float32",
                momentum=momentum,
                epsilon=epsilon,
            )
            for level in reversed(range(self.config.levels))
        ]

    def build(self, input_shape: Any) -> None:
        def with_channels(count: int) -> tuple[None, None, None, int]:
            return None, None, None, count

        skips = [IMAGE_CHANNELS, *self.config.encoder_channels]
        for block, count in zip(self.encoder, skips, strict=False):
            block.build(with_channels(count), with_channels(1))
        count = skips.pop()
        for block in self.decoder:
            block.build([with_channels(count), with_channels(skips.pop())], [with_channels(1)] * 2)
            count = block.filters

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        images, masks = inputs
        images = ops.cast(images, "float32")
        masks = ops.cast(masks, "float32")
        _, height, width, _ = ops.shape(images)
        statistics = _PIXEL_STATISTICS.get(self.config.pixels)
        if statistics is not None:
            mean, deviation = (ops.convert_to_tensor(s, dtype="float32") for s in statistics)
            images = (images - mean) / deviation
        x = _pad_with_holes(ops.where(masks > 0, images, 0.0), 2**self.config.levels)
        mask = _pad_with_holes(masks, 2**self.config.levels)

        skips = []
        for block in self.encoder:
            skips.append((x, mask))
            x, mask = block(x, mask, training=training)
        for block in self.decoder:
            skip, skip_mask = skips.pop()
            x, mask = block(
                [upsample_nearest(x), skip], [upsample_nearest(mask), skip_mask], training=training
            )
        x = x[:, :height, :width, :]
        return x if statistics is None else x * deviation + mean

    def get_config(self) -> dict[str, Any]:
        policy = keras.saving.serialize_keras_object(self.dtype_policy)
        return {"name": self.name, "dtype": policy, "config": config_to_mapping(self.config)}


def count_parameters(config: ModelConfig) -> int:
    """Return how many numbers the network's variables hold, without making any of them."""
    channels = [IMAGE_CHANNELS, *config.encoder_channels]
    total = channels[1] + IMAGE_CHANNELS  # the two biases
    up = channels[-1]
    for level in range(config.levels):
        total += config.encoder_kernel(level) ** 2 * channels[level] * channels[level + 1]
    for level in reversed(range(config.levels)):
        skip = output = channels[level]
        total += config.decoder_kernel**2 * (up + skip) * output
        up = output
    batch_norm = 4 * (sum(channels[2:]) + sum(channels[1:-1]))
    return total + batch_norm


def build_pconv_unet(config: ModelConfig, *, dtype: str = "float32") -> PConvUNet:
    """Return a freshly initialised network whose variables all exist.

    Args:
        config: depth, widths, kernels.
        dtype: a Keras dtype policy: ``float32``, ``mixed_bfloat16`` or ``mixed_float16``.
    """
    model = PConvUNet(config, dtype=dtype, name="pconv_unet")
    model.build([(None, None, None, IMAGE_CHANNELS), (None, None, None, 1)])
    return model


def freeze_encoder_batch_norm(model: PConvUNet) -> None:
    """Keep the encoder's batch norm as it is while training (Liu et al. 2018, section 4.2).

    Its moving statistics are used instead of the batch's, its scale and shift are not trained:
    fine-tuning with holes of 0 then no longer disturbs mean and variance.
    """
    for block in model.encoder:
        if block.batch_norm is not None:
            block.batch_norm.trainable = False


def _pad_with_holes(x: Any, multiple: int) -> Any:
    """Pad (B, H, W, C) with zeros at the bottom and the right to multiples of ``multiple``."""
    _, height, width, _ = ops.shape(x)
    bottom, right = -height % multiple, -width % multiple
    if isinstance(bottom, int) and isinstance(right, int) and bottom == right == 0:
        return x
    return ops.pad(x, ((0, 0), (0, bottom), (0, right), (0, 0)))
