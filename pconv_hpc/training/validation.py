"""Judging the network on fixed photos with fixed masks, the same for any number of ranks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.config import RunConfig
from pconv_hpc.masks.mask_bank import MaskBank
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.shards.loader import Batch, ImageReader, validation_batches
from pconv_hpc.training.distributed import Ranks

_HOLE_GRAY = 0.5
_GAP_PIXELS = 4
_MAX_BATCH = 16  # beyond it nothing gets faster, and every rank count uses the same arithmetic


class Validator:
    """Measures a model on the first ``validation.num_images`` validation photos.

    Figures: the loss and its parts as in training, ``l1`` (mean absolute error over the hole's
    pixels, range 0 to 1) and ``psnr`` (dB, of the composite against the truth, mean over images).
    ``on_batch`` is called after each batch measured.
    """

    def __init__(
        self,
        *,
        model: keras.Model,
        loss: InpaintingLoss,
        reader: ImageReader,
        bank: MaskBank,
        ranks: Ranks,
        config: RunConfig,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_batch = on_batch
        self._model = model
        self._loss = loss
        self._reader = reader
        self._bank = bank
        self._ranks = ranks
        self._config = config
        self._num_images = min(config.validation.num_images, reader.num_images)
        self.figure_names = [*loss.part_names, "l1", "psnr"]
        self._batches(self._num_images, 0, 1)  # photos too small are found now, not after an epoch
        self._measure = tf.function(self._measure_batch, reduce_retracing=True)

    def _batches(self, num_images: int, rank: int, num_ranks: int) -> Iterator[Batch]:
        return validation_batches(
            self._reader,
            self._bank,
            image_size=self._config.data.image_size,
            num_images=num_images,
            seed=self._config.validation.seed,
            batch_size=min(_MAX_BATCH, self._config.train.max_batch_per_rank),
            rank=rank,
            num_ranks=num_ranks,
        )

    def _measure_batch(self, images: tf.Tensor, masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return figures summed over the batch's images, and the composites (B, H, W, 3)."""
        truth = tf.cast(images, tf.float32) / 255.0
        valid = tf.cast(masks, tf.float32)
        output = self._model([truth, valid], training=False)
        parts = self._loss(output, truth, valid)
        composite = valid * truth + (1.0 - valid) * tf.clip_by_value(output, 0.0, 1.0)
        error = composite - truth
        hole_pixels = tf.reduce_sum(1.0 - valid, axis=(1, 2, 3))
        l1 = tf.reduce_sum(tf.abs(error), axis=(1, 2, 3)) / (3.0 * tf.maximum(hole_pixels, 1.0))
        mse = tf.maximum(tf.reduce_mean(tf.square(error), axis=(1, 2, 3)), 1e-10)
        psnr = -10.0 * tf.math.log(mse) / tf.math.log(10.0)
        count = tf.cast(tf.shape(images)[0], tf.float32)
        sums = [count * parts[name] for name in self._loss.part_names]
        return tf.stack([*sums, tf.reduce_sum(l1), tf.reduce_sum(psnr)]), composite

    def measure(self) -> dict[str, float]:
        """Return the figures, averaged over the images of all ranks; every rank must call it."""
        total = tf.zeros(len(self.figure_names))
        for batch in self._batches(self._num_images, self._ranks.rank, self._ranks.size):
            sums, _ = self._measure(
                tf.convert_to_tensor(batch.images), tf.convert_to_tensor(batch.masks)
            )
            total += sums
            self._on_batch()
        [total] = self._ranks.sum([total], name="validation")
        means = np.asarray(total, dtype=float) / self._num_images
        return dict(zip(self.figure_names, means.tolist(), strict=True))

    def save_grid(self, path: Path) -> None:
        """Write a picture, one row an image: masked (holes gray), output, composite, truth.

        It shows the first ``validation.grid_images`` photos of the validation set.
        """
        rows = []
        count = min(self._config.validation.grid_images, self._num_images)
        for batch in self._batches(count, 0, 1):
            truth = batch.images.astype(np.float32) / 255.0
            valid = batch.masks.astype(np.float32)
            output = np.clip(np.asarray(self._model([truth, valid], training=False)), 0.0, 1.0)
            masked = valid * truth + (1.0 - valid) * _HOLE_GRAY
            composite = valid * truth + (1.0 - valid) * output
            rows += list(zip(masked, output, composite, truth, strict=True))
        save_image_grid(path, rows)


def save_image_grid(path: Path, rows: Sequence[Sequence[np.ndarray]]) -> None:
    """Write rows of equally large images, float (H, W, 3) in [0, 1], side by side as a PNG."""
    gap = [(0, _GAP_PIXELS), (0, _GAP_PIXELS), (0, 0)]
    lines = [
        np.concatenate([np.pad(i, gap, constant_values=1.0) for i in row], axis=1) for row in rows
    ]
    grid = (np.concatenate(lines, axis=0) * 255.0 + 0.5).astype(np.uint8)
    with atomic.atomic_path(path, durable=False) as temporary:
        Image.fromarray(grid).save(temporary, format="PNG")


def is_better(figures: Mapping[str, float], best_loss: float | None) -> bool:
    """Return whether this validation's loss is the lowest so far."""
    return best_loss is None or figures["loss"] < best_loss
