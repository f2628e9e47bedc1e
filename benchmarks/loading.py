"""The loader against tf.data over JPEG files, and against copying the same bytes."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.compare import Comparison
from pconv_hpc.foundation.config import DataConfig, MasksConfig
from pconv_hpc.masks.mask_bank import MaskBank, draw_bank
from pconv_hpc.photos.sample_photos import sample_photos
from pconv_hpc.shards.loader import BatchLoader
from pconv_hpc.training.step import as_tensor

_CROP_SIZE = 256
_STORED_SIZE = 320
_NUM_IMAGES = 256
_BATCH_SIZE = 32
_BATCHES = 16


class ImagesInMemory:
    """Packed photos that are in the page cache anyway; what a ``BatchLoader`` reads from."""

    image_size = _STORED_SIZE
    num_images = _NUM_IMAGES

    def __init__(self) -> None:
        photos = list(sample_photos().values())
        rng = np.random.default_rng(0)
        side = (_STORED_SIZE, _STORED_SIZE)
        squares = []
        for number in range(_NUM_IMAGES):
            photo = photos[number % len(photos)]
            edge = min(photo.shape[:2])
            left = int(rng.integers(photo.shape[1] - edge + 1))
            square = Image.fromarray(photo[:edge, left : left + edge])
            squares.append(np.asarray(square.resize(side, Image.Resampling.LANCZOS)))
        self.array = np.stack(squares)

    def image_views(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the chosen images, each uint8 (S, S, 3)."""
        return [self.array[index] for index in indices]


def _write_jpegs(images: np.ndarray, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(images):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="JPEG", quality=92)
        path = folder / f"{number:04d}.jpg"
        path.write_bytes(stream.getvalue())
        paths.append(str(path))
    return paths


def _tf_data_batches(paths: list[str], masks: np.ndarray) -> Iterator[tf.Tensor]:
    """Iterate as tutorials do: read, decode, crop, flip, mask and batch inside tf.data."""

    def load(path: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.random_crop(image, (_CROP_SIZE, _CROP_SIZE, 3))
        return tf.image.random_flip_left_right(image), tf.image.random_flip_left_right(mask)

    data = tf.data.Dataset.from_tensor_slices((paths, masks)).repeat().shuffle(_NUM_IMAGES)
    batches = data.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(_BATCH_SIZE)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1  # our loader has one thread, too
    options.threading.max_intra_op_parallelism = 1
    return iter(batches.prefetch(tf.data.AUTOTUNE).with_options(options))


def loading_comparisons(folder: Path) -> Iterator[Comparison]:
    """Yield the comparisons of loading 512 images of 256 × 256 with their masks, as tensors.

    ``folder`` takes the mask bank and the JPEG files.
    """
    reader = ImagesInMemory()
    bank_path = folder / "masks.h5"
    draw_bank(bank_path, num_masks=256, size=_CROP_SIZE, style_weights={"strokes": 1.0})
    bank = MaskBank(bank_path)
    masks = bank.valid_masks(np.arange(_NUM_IMAGES))[..., np.newaxis]
    tf_batches = _tf_data_batches(_write_jpegs(reader.array, folder / "jpeg"), masks)
    crops = np.ascontiguousarray(reader.array[:, :_CROP_SIZE, :_CROP_SIZE])

    with BatchLoader(
        reader,
        bank,
        DataConfig(image_size=_CROP_SIZE),
        MasksConfig(),
        seed=0,
        global_batch_size=_BATCH_SIZE,
        rank=0,
        num_ranks=1,
        first_step=0,
    ) as loader:

        def ours() -> None:
            for _ in range(_BATCHES):
                batch = next(loader)
                as_tensor(batch.images)
                as_tensor(batch.masks)

        def tf_data() -> None:
            for _ in range(_BATCHES):
                next(tf_batches)

        def copy_bytes() -> None:
            for number in range(_BATCHES):  # from place to place, as a loader's photos lie
                part = slice(number * _BATCH_SIZE % _NUM_IMAGES, None)
                crops[part][:_BATCH_SIZE].copy()
                masks[part][:_BATCH_SIZE].copy()

        yield Comparison(
            name="loader, 256 px with masks",
            against="tf.data over JPEG files",
            ours=ours,
            reference=tf_data,
            quantity="speed",
            goal=10.0,
        )
        yield Comparison(
            name="loader, 256 px with masks",
            against="memcpy of the same bytes",
            ours=ours,
            reference=copy_bytes,
            quantity="speed",
            goal=0.3,
        )
