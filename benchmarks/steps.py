"""A program that takes training steps and says what one costs, in a process of its own.

    [mpirun -np N] python -m benchmarks.steps [--plain] [--image-size S] [--batch B] …

Prints one JSON object on rank 0: seconds_per_step (the median), peak_mib (most memory the process
ever held) and start_mib (what it held before the first step).
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.memory import peak_bytes_of_process
from benchmarks.peers import build_plain_unet
from pconv_hpc.foundation.config import ModelConfig, config_from_mapping
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.vgg import VGG16Features
from pconv_hpc.shards.loader import Batch
from pconv_hpc.shards.sampler import rank_slice
from pconv_hpc.training.distributed import Ranks
from pconv_hpc.training.step import Outcome, TrainingStep, build_optimizer, read_outcome

_BYTES_PER_MIB = 1 << 20
_WARM_UP_STEPS = 2


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", action="store_true", help="the U-Net of plain convolutions")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4, help="over all ranks")
    parser.add_argument("--base-channels", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0, help="of each rank; 0: all cores")
    parser.add_argument("--steps", type=int, default=5)
    return parser.parse_args()


def _peak_mib() -> float:
    return peak_bytes_of_process() / _BYTES_PER_MIB


def build_step(
    ranks: Ranks, *, image_size: int, batch: int, base_channels: int, plain: bool, vgg: bool
) -> TrainingStep:
    """Return the training step of a network of 7 levels, freshly initialised.

    Args:
        ranks: who shares the batch.
        image_size: side of the photos, pixels.
        batch: photos, over all ranks.
        base_channels: of the network.
        plain: take the U-Net of plain convolutions.
        vgg: add the two terms of the loss that compare features, of VGG16 with random weights.
    """
    config = config_from_mapping(
        {
            "model": {"levels": 7, "base_channels": base_channels},
            "train": {"global_batch_size": batch, "max_batch_per_rank": batch},
        }
    )
    shape: ModelConfig = config.model
    model = build_plain_unet(shape, image_size) if plain else build_pconv_unet(shape)
    features = None
    if vgg:
        features = VGG16Features()
        features.build((None, None, None, 3))
    optimizer = build_optimizer(
        config.optimizer, global_batch_size=batch, total_steps=1000, precision="float32"
    )
    optimizer.build(model.trainable_variables)
    return TrainingStep(
        model=model,
        loss=InpaintingLoss(config.loss, features),
        optimizer=optimizer,
        ranks=ranks,
        config=config,
    )


def prepare(
    ranks: Ranks, *, image_size: int, batch: int, base_channels: int, plain: bool, vgg: bool
) -> Callable[[], Outcome]:
    """Return a function that takes a step on this rank's share of one random batch.

    Arguments are those of ``build_step``.
    """
    step = build_step(
        ranks,
        image_size=image_size,
        batch=batch,
        base_channels=base_channels,
        plain=plain,
        vgg=vgg,
    )
    rng = np.random.default_rng(0)
    mine = rank_slice(batch, ranks.rank, ranks.size)
    shape_of_masks = (batch, image_size, image_size, 1)
    images = rng.integers(0, 256, (*shape_of_masks[:3], 3), np.uint8)[mine]
    masks = (rng.random(shape_of_masks) > 0.3).astype(np.uint8)[mine]
    numbers = itertools.count()

    def run() -> Outcome:
        photos = Batch(next(numbers), images, masks, np.arange(len(images)))
        return read_outcome(step(photos, stop=False, save=False))

    return run


def main() -> None:
    """Take the steps and print what they cost."""
    arguments = _parse()
    ranks = Ranks()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    step = prepare(
        ranks,
        image_size=arguments.image_size,
        batch=arguments.batch,
        base_channels=arguments.base_channels,
        plain=arguments.plain,
        vgg=False,
    )
    start_mib = _peak_mib()
    seconds = []
    for _ in range(arguments.steps + _WARM_UP_STEPS):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    if ranks.is_first:
        cost = statistics.median(seconds[_WARM_UP_STEPS:])
        found = {"seconds_per_step": cost, "peak_mib": _peak_mib(), "start_mib": start_mib}
        json.dump(found, sys.stdout)
        print(flush=True)
    ranks.shutdown()


if __name__ == "__main__":
    main()
