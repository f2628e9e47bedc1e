"""The network against the same U-Net made of plain convolutions."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pconv_hpc.bench.compare import Comparison, Work
from pconv_hpc.config import LossConfig, ModelConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet, encoder_channels, encoder_kernel

_IMAGE_SIZE = 256
_BATCH_SIZE = 4


def build_plain_unet(config: ModelConfig, image_size: int) -> keras.Model:
    """Return a U-Net of the same shape and normalisation whose layers are plain Conv2D.

    Called as ``model([images, masks])`` like PConvUNet; the mask is concatenated to the image, as
    networks without partial convolutions take it.
    """
    images = keras.Input((image_size, image_size, 3))
    masks = keras.Input((image_size, image_size, 1))
    channels = encoder_channels(config)

    def block(x: Any, filters: int, kernel: int, *, strides: int = 1, norm: bool) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=not norm)(x)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x) if norm else x

    x = layers.Concatenate()([images, masks])
    skips = []
    for level, filters in enumerate(channels):
        skips.append(x)
        kernel = encoder_kernel(config, level)
        x = layers.ReLU()(block(x, filters, kernel, strides=2, norm=level > 0))
    for level in reversed(range(config.levels)):
        x = layers.Concatenate()([layers.UpSampling2D()(x), skips[level]])
        x = block(x, channels[level - 1] if level else 3, config.decoder_kernel, norm=level > 0)
        if level:
            x = layers.LeakyReLU(negative_slope=config.leaky_slope)(x)
    return keras.Model([images, masks], x)


def _forward(model: keras.Model, images: tf.Tensor, masks: tf.Tensor) -> Work:
    compiled = tf.function(lambda: model([images, masks], training=False))
    return lambda: compiled().numpy()


def _training_step(model: keras.Model, images: tf.Tensor, masks: tf.Tensor) -> Work:
    loss = InpaintingLoss(LossConfig(), None)
    optimizer = keras.optimizers.Adam(1e-5)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(model([images, masks], training=True), images, masks)["loss"]
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    return lambda: step().numpy()


def network_comparisons(config: ModelConfig) -> Iterator[Comparison]:
    """Yield the comparisons of the network, batch 4 at 256 × 256 in float32."""
    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE, _IMAGE_SIZE, _IMAGE_SIZE)
    images = tf.constant(rng.random((*shape, 3), dtype=np.float32))
    masks = tf.constant((rng.random((*shape, 1)) > 0.3).astype(np.float32))
    ours, plain = build_pconv_unet(config), build_plain_unet(config, _IMAGE_SIZE)
    for name, work in (
        ("PConvUNet, forward", _forward),
        ("PConvUNet, training step without VGG", _training_step),
    ):
        yield Comparison(
            name=name,
            against="plain Conv2D U-Net",
            ours=work(ours, images, masks),
            reference=work(plain, images, masks),
            quantity="time",
            goal=1.05,
        )
