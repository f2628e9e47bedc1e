"""How others write the same things: what the comparisons of the network are measured against.

Written for these measurements after the published equations, the straightforward way.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from pconv_hpc.foundation.config import LossConfig, ModelConfig
from pconv_hpc.model.losses import gram_matrix, hole_total_variation
from pconv_hpc.model.vgg import VGG16Features

_EPSILON = 1e-8


def build_plain_unet(config: ModelConfig, image_size: int) -> keras.Model:
    """Return a U-Net of the same shape and normalisation whose layers are plain Conv2D.

    Called as ``model([images, masks])`` like PConvUNet; the mask is concatenated to the image, as
    networks without partial convolutions take it.
    """
    images = keras.Input((image_size, image_size, 3))
    masks = keras.Input((image_size, image_size, 1))
    channels = config.encoder_channels

    def block(x: Any, filters: int, kernel: int, *, strides: int = 1, norm: bool) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=not norm)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x) if norm else x

    x = layers.Concatenate()([images, masks])
    skips = []
    for level, filters in enumerate(channels):
        skips.append(x)
        kernel = config.encoder_kernel(level)
        x = layers.ReLU()(block(x, filters, kernel, strides=2, norm=level > 0))
    for level in reversed(range(config.levels)):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skips[level]])
        x = block(x, channels[level - 1] if level else 3, config.decoder_kernel, norm=level > 0)
        if level:
            x = layers.LeakyReLU(negative_slope=config.leaky_slope)(x)
    return keras.Model([images, masks], x)


class FullMaskPartialConv2D(layers.Layer):
    """Partial convolution whose mask has all channels and is convolved with ones of C_in × C_out.

    Called as ``layer([features, masks])`` with both (B, H, W, C); returns both with the filters as
    channels.
    """

    def __init__(self, filters: int, kernel_size: int, *, strides: int, use_bias: bool) -> None:
        super().__init__()
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:
        shape = (self.kernel_size, self.kernel_size, input_shape[0][-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape)
        self.bias = 0.0
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.ones = self.add_weight(name="ones", shape=shape, initializer="ones", trainable=False)
        self.window_size = float(self.kernel_size**2 * shape[2])

    def call(self, inputs: Any) -> tuple[Any, Any]:
        features, masks = inputs
        mask_sum = tf.nn.conv2d(masks, self.ones, self.strides, "SAME")
        new_masks = tf.clip_by_value(mask_sum, 0.0, 1.0)
        ratio = self.window_size / (mask_sum + _EPSILON) * new_masks
        x = tf.nn.conv2d(features * masks, self.kernel, self.strides, "SAME")
        return (x * ratio + self.bias) * new_masks, new_masks


def build_full_mask_unet(config: ModelConfig, image_size: int) -> keras.Model:
    """Return a PConvUNet of the same shape, made of ``FullMaskPartialConv2D``.

    Called as ``model([images, masks])`` with masks (B, H, W, 1).
    """
    images = keras.Input((image_size, image_size, 3))
    masks = keras.Input((image_size, image_size, 1))
    channels = config.encoder_channels

    def block(x: Any, m: Any, filters: int, kernel: int, strides: int, norm: bool) -> Any:
        conv = FullMaskPartialConv2D(filters, kernel, strides=strides, use_bias=not norm)
        x, m = conv([x, m])
        return (layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x) if norm else x), m

    x, m = images, layers.Concatenate()([masks] * 3)
    skips = []
    for level, filters in enumerate(channels):
        skips.append((x, m))
        x, m = block(x, m, filters, config.encoder_kernel(level), 2, level > 0)
        x = layers.ReLU()(x)
    for level in reversed(range(config.levels)):
        x, m = (
            layers.Concatenate()([layers.UpSampling2D()(below), skip])
            for below, skip in zip((x, m), skips[level], strict=True)
        )
        filters = channels[level - 1] if level else 3
        x, m = block(x, m, filters, config.decoder_kernel, 1, level > 0)
        if level:
            x = layers.LeakyReLU(negative_slope=config.leaky_slope)(x)
    return keras.Model([images, masks], x)


def term_by_term_loss(
    config: LossConfig, vgg: VGG16Features, output: Any, truth: Any, masks: Any
) -> Any:
    """Return the loss of Liu et al. 2018, each term on its own, with gradients through everything.

    Output, composite and truth each pass through VGG16 by themselves.
    """
    composite = masks * truth + (1.0 - masks) * output
    total = config.valid * tf.reduce_mean(tf.abs(masks * (output - truth)))
    total += config.hole * tf.reduce_mean(tf.abs((1.0 - masks) * (output - truth)))
    features = [vgg(image) for image in (output, composite, truth)]
    for of_output, of_composite, of_truth in zip(*features, strict=True):
        for found in (of_output, of_composite):
            total += config.perceptual * tf.reduce_mean(tf.abs(found - of_truth))
    for of_output, of_composite, of_truth in zip(*features, strict=True):
        for found in (of_output, of_composite):
            difference = gram_matrix(found) - gram_matrix(of_truth)
            total += config.style * tf.reduce_mean(tf.abs(difference))
    return total + config.total_variation * hole_total_variation(composite, 1.0 - masks)
