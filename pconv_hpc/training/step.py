"""One training step: local gradients, their sum over the ranks, the same update on every rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pconv_hpc.foundation.arrays.aligned_arrays import ALIGNMENT_BYTES
from pconv_hpc.foundation.config import OptimizerConfig, RunConfig
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.shards.loader import Batch
from pconv_hpc.training.distributed import Ranks
from pconv_hpc.training.schedule import WarmupSchedule

Tensors = list[tf.Tensor]


@dataclass(frozen=True)
class StepResult:
    """The result of one step, equal on every rank; tensors, so that nobody waits for them.

    ``status`` is float32 (3,): how many ranks were asked to stop, wanted a checkpoint, and saw a
    loss that is not finite. ``parts`` is float32 (len(part_names),): the loss and its parts,
    averaged over the global batch.
    """

    step: int
    status: tf.Tensor
    parts: tf.Tensor


def build_optimizer(
    config: OptimizerConfig, *, global_batch_size: int, total_steps: int, precision: str
) -> keras.optimizers.Optimizer:
    """Return Adam with the run's schedule; under float16 with dynamic loss scaling around it."""
    adam = keras.optimizers.Adam(
        WarmupSchedule(config, global_batch_size=global_batch_size, total_steps=total_steps),
        global_clipnorm=config.gradient_clip_norm or None,
        name="adam",  # checkpoints know the variables by it; Keras would number a second one
    )
    if precision != "float16":
        return adam
    return keras.optimizers.LossScaleOptimizer(adam, name="loss_scale")


def as_tensor(array: np.ndarray) -> tf.Tensor:
    """Return an array as a tensor on the CPU, without copying it where its place allows that.

    Nobody may write to the array any more; it lives as long as the tensor.
    """
    if array.ctypes.data % ALIGNMENT_BYTES or not array.flags.c_contiguous:
        # TensorFlow's kernels would crash on it.
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


class TrainingStep:
    """Runs steps on this rank's share of each global batch.

    The share may be any number of images: a share of n of a global batch of B weighs n / B in every
    sum, so the update is the mean over the global batch however it is cut. More than
    ``train.max_batch_per_rank`` images are passed through the network in several parts whose
    gradients are added up.

    Batch normalisation normalises with its own part's statistics; the moving statistics are
    averaged over ranks in every step, so all ranks hold one state and a checkpoint needs only one.
    """

    def __init__(
        self,
        *,
        model: keras.Model,
        loss: InpaintingLoss,
        optimizer: keras.optimizers.Optimizer,
        ranks: Ranks,
        config: RunConfig,
    ) -> None:
        self._model = model
        self._loss = loss
        self._optimizer = optimizer
        self._ranks = ranks
        self._global_batch_size = config.train.global_batch_size
        self._max_batch = config.train.max_batch_per_rank
        self._compression = config.optimizer.gradient_compression
        self._moving_statistics = [
            v for v in model.non_trainable_variables if "moving_" in v.path.rpartition("/")[2]
        ]
        self.part_names: list[str] = loss.part_names
        self._gradients = tf.function(
            self._gradients_of_part, jit_compile=config.train.jit_compile, reduce_retracing=True
        )
        self._step = tf.function(self._run, reduce_retracing=True)

    def __call__(self, batch: Batch, *, stop: bool, save: bool) -> StepResult:
        """Train on this rank's part of a global batch; every rank must call it for the same step.

        ``stop`` and ``save`` are this rank's requests; the result tells every rank whether any had
        them. Returns before the device is done; reading a tensor of the result waits.
        """
        status, parts = self._step(
            as_tensor(batch.images),
            as_tensor(batch.masks),
            tf.constant([float(stop), float(save)], tf.float32),
        )
        return StepResult(batch.step, status, parts)

    def _gradients_of_part(self, images: tf.Tensor, masks: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        """Return this part's weight in the global batch times its gradients and its losses."""
        truth = tf.cast(images, tf.float32) / 255.0
        valid = tf.cast(masks, tf.float32)
        weight = tf.cast(tf.shape(images)[0], tf.float32) / self._global_batch_size
        with tf.GradientTape() as tape:
            output = self._model([truth, valid], training=True)
            parts = self._loss(output, truth, valid)
            target = self._optimizer.scale_loss(parts["loss"] * weight)
        gradients = tape.gradient(target, self._model.trainable_variables)
        return gradients, weight * tf.stack([parts[name] for name in self.part_names])

    def _local_gradients(
        self, images: tf.Tensor, masks: tf.Tensor
    ) -> tuple[Sequence[tf.Tensor], tf.Tensor]:
        if images.shape[0] is not None and images.shape[0] <= self._max_batch:
            return self._gradients(images, masks)
        count = tf.shape(images)[0]
        num_parts = (count + self._max_batch - 1) // self._max_batch
        gradients = [tf.zeros_like(v.value) for v in self._model.trainable_variables]
        losses = tf.zeros(len(self.part_names))
        for part in tf.range(num_parts):
            here = slice(part * count // num_parts, (part + 1) * count // num_parts)
            more_gradients, more_losses = self._gradients(images[here], masks[here])
            gradients = [a + b for a, b in zip(gradients, more_gradients, strict=True)]
            losses += more_losses
        return gradients, losses

    def _run(
        self, images: tf.Tensor, masks: tf.Tensor, requests: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        gradients, losses = self._local_gradients(images, masks)
        gradients = self._ranks.sum_gradients(gradients, compression=self._compression)
        self._optimizer.apply(gradients, self._model.trainable_variables)
        broken = tf.cast(~tf.math.is_finite(losses[0]), tf.float32)
        status = tf.concat([requests, [broken]], axis=0)
        share = tf.cast(tf.shape(images)[0], tf.float32) / self._global_batch_size
        statistics = [v.value * share for v in self._moving_statistics]
        status, losses, *statistics = self._ranks.sum([status, losses, *statistics], name="state")
        if self._ranks.size > 1:
            for variable, average in zip(self._moving_statistics, statistics, strict=True):
                variable.assign(average)
        return status, losses


@dataclass(frozen=True)
class Outcome:
    """A finished step as numbers; what the ranks agreed on is equal on all of them."""

    step: int
    stop: bool
    save: bool
    finite: bool
    parts: list[float]


def read_outcome(result: StepResult) -> Outcome:
    """Wait for a step and return its outcome."""
    stop, save, broken = np.asarray(result.status)
    parts = np.asarray(result.parts)
    finite = broken == 0 and bool(np.isfinite(parts).all())
    return Outcome(result.step, bool(stop), bool(save), finite, parts.tolist())


def variable_groups(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> dict[str, Sequence[Any]]:
    """Return every variable a checkpoint holds, in the two groups it is stored under."""
    return {"model": model.variables, "optimizer": optimizer.variables}


def variable_snapshots(variables: Sequence[Any]) -> dict[str, tf.Tensor]:
    """Return the present values of Keras variables, without copying them: ``{path: tensor}``.

    TensorFlow writes a variable's next value elsewhere while somebody holds the one before. Copying
    hundreds of megabytes to the host is thus left to whoever reads the tensors, and to its thread.
    """
    return {variable.path: variable.value.read_value() for variable in variables}
