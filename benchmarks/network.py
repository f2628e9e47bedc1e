"""The network and its training step against others of the same shape."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.compare import Comparison, Work
from benchmarks.peers import build_full_mask_unet, build_plain_unet, term_by_term_loss
from pconv_hpc.foundation.config import LossConfig, ModelConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.vgg import VGG16Features

Loss = Callable[[Any, Any, Any], Any]

_IMAGE_SIZE = 256
_BATCH_SIZE = 4


def _forward(model: keras.Model, images: tf.Tensor, masks: tf.Tensor) -> Work:
    compiled = tf.function(lambda: model([images, masks], training=False))
    return lambda: compiled().numpy()


def _training_step(
    model: keras.Model, loss: Loss, images: tf.Tensor, masks: tf.Tensor, *, eager: bool = False
) -> Work:
    optimizer = keras.optimizers.Adam(1e-5)
    optimizer.build(model.trainable_variables)

    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(model([images, masks], training=True), images, masks)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    compiled = step if eager else tf.function(step)
    return lambda: compiled().numpy()


def network_comparisons(config: ModelConfig) -> Iterator[Comparison]:
    """Yield the comparisons of the network, batch 4 at 256 × 256 in float32."""
    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE, _IMAGE_SIZE, _IMAGE_SIZE)
    images = tf.constant(rng.random((*shape, 3), dtype=np.float32))
    masks = tf.constant((rng.random((*shape, 1)) > 0.3).astype(np.float32))
    ours, plain = build_pconv_unet(config), build_plain_unet(config, _IMAGE_SIZE)
    full_mask = build_full_mask_unet(config, _IMAGE_SIZE)
    vgg = VGG16Features()
    vgg.build((None, None, None, 3))
    weights = LossConfig()

    def our_loss(vgg: VGG16Features | None) -> Loss:
        loss = InpaintingLoss(weights, vgg)
        return lambda output, truth, masks: loss(output, truth, masks)["loss"]

    def reference_loss(output: Any, truth: Any, masks: Any) -> Any:
        return term_by_term_loss(weights, vgg, output, truth, masks)

    def comparison(name: str, against: str, ours: Work, reference: Work, goal: float) -> Comparison:
        return Comparison(
            name=name, against=against, ours=ours, reference=reference, quantity="time", goal=goal
        )

    forward = _forward(ours, images, masks)
    yield comparison(
        "PConvUNet, forward",
        "plain Conv2D U-Net",
        forward,
        _forward(plain, images, masks),
        1.05,
    )
    yield comparison(
        "PConvUNet, training step without VGG",
        "plain Conv2D U-Net",
        _training_step(ours, our_loss(None), images, masks),
        _training_step(plain, our_loss(None), images, masks),
        1.05,
    )
    yield comparison(
        "PConvUNet, forward",
        "masks of all channels",
        forward,
        _forward(full_mask, images, masks),
        0.55,
    )
    yield comparison(
        "full training step",
        "term by term, eager",
        _training_step(ours, our_loss(vgg), images, masks),
        _training_step(full_mask, reference_loss, images, masks, eager=True),
        0.6,
    )
