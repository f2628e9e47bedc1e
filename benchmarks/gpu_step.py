"""Measure the full training step on one CUDA GPU, through Keras' JAX backend.

One image size in one precision: steps (PConvUNet forward and backward, perceptual, style and total
variation loss, Adam) of a batch that doubles until memory is full. Network, VGG16 and loss are the
very ones that TensorFlow trains. Needs Keras, jax, NumPy, h5py and PyYAML; no TensorFlow, no
Horovod, no network access.
"""

import argparse
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.memory import peak_bytes_of_process
from pconv_hpc.foundation.config import LossConfig, ModelConfig
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.options import cli

PRECISIONS = ("float32", "tf32", "bfloat16")

_EXAMPLES = """\
  python -m benchmarks.gpu_step --image-size 512 --precision bfloat16
  python -m benchmarks.gpu_step --device cpu --image-size 64 --batch 1 --max-batch 4
"""
_GPU_MEMORY_SHARE = "0.92"  # of what JAX takes at its start; its own default is three quarters
_WARM_UP_STEPS = 2
_GIB = 1 << 30


def parse() -> argparse.Namespace:
    """Return what is to be measured."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("--image-size", type=cli.positive_int, default=256, help="pixels a side")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="tf32",
        help="float32 multiplies in float32 throughout; bfloat16 is Keras' mixed_bfloat16, its "
        "remaining float32 products in TF32",
    )
    parser.add_argument("--batch", type=cli.positive_int, default=8, help="the first, then doubled")
    parser.add_argument(
        "--max-batch", type=cli.positive_int, default=4096, help="end here even if more fits"
    )
    parser.add_argument("--base-channels", type=cli.positive_int, default=64, help="the width")
    parser.add_argument("--steps", type=cli.positive_int, default=10, help="of each timed round")
    parser.add_argument("--rounds", type=cli.positive_int, default=3, help="the median counts")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    return parser.parse_args()


def batches(
    build: Callable[[int], Callable[[], Any]], first: int, last: int, *, steps: int, rounds: int
) -> Iterator[tuple[int, float]]:
    """Yield each batch size that fits into memory and the seconds that a step of it takes.

    Args:
        build: returns for a batch size a function that begins a step and returns the loss.
        first: the first batch size, then doubled.
        last: where doubling ends at the latest.
        steps: of each timed round; the device is waited for once a round.
        rounds: of which the median counts.

    Raises:
        PconvError: the loss is not finite.
    """
    batch = first
    while batch <= last:
        try:
            step = build(batch)
            for _ in range(_WARM_UP_STEPS):
                float(step())
            seconds = []
            for _ in range(rounds):
                began = time.perf_counter()
                for _ in range(steps):
                    loss = step()
                value = float(loss)
                seconds.append((time.perf_counter() - began) / steps)
        except Exception as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return
        if not math.isfinite(value):
            raise PconvError(f"the loss is {value}; what was timed is no training")
        yield batch, statistics.median(seconds)
        batch *= 2


def build_training(image_size: int, *, base_channels: int, policy: str) -> Callable[[int], Any]:
    """Return what ``batches`` calls ``build``: a step is one XLA program on random photos.

    Args:
        image_size: side of the photos, pixels.
        base_channels: of the network; it has 7 levels at 256 pixels, 8 from 512 on.
        policy: Keras' name of the precision.
    """
    import jax
    import jax.numpy as jnp
    import keras

    from pconv_hpc.model.losses import InpaintingLoss
    from pconv_hpc.model.unet import build_pconv_unet
    from pconv_hpc.model.vgg import VGG16Features

    random.seed(0)  # what Keras draws its seeds from; its own function would load TensorFlow
    levels = min(8, max(1, image_size.bit_length() - 2))
    model = build_pconv_unet(ModelConfig(levels=levels, base_channels=base_channels), dtype=policy)
    optimizer = keras.optimizers.Adam(2e-4)
    optimizer.build(model.trainable_variables)
    vgg = VGG16Features(dtype=policy)  # random weights, which cost the same
    vgg.build((None, None, None, 3))
    loss = InpaintingLoss(LossConfig(), vgg)

    def loss_of(trainable: Any, constant: Any, images: Any, masks: Any) -> Any:
        truth, valid = jnp.float32(images) / 255.0, jnp.float32(masks)
        output, constant = model.stateless_call(trainable, constant, [truth, valid], training=True)
        return loss(output, truth, valid)["loss"], constant

    def step(state: Any, images: Any, masks: Any) -> Any:
        trainable, constant, moments = state
        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (value, constant), gradients = gradient(trainable, constant, images, masks)
        trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
        return (trainable, constant, moments), value

    compiled = jax.jit(step, donate_argnums=0)
    variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    # Copies on the host, as the step is given the arrays on the device to overwrite.
    host = [[np.asarray(v.value) for v in group] for group in variables]

    def build(batch: int) -> Callable[[], Any]:
        images = np.random.default_rng(0).integers(
            0, 256, (batch, image_size, image_size, 3), np.uint8
        )
        masks = np.ones((batch, image_size, image_size, 1), np.uint8)
        masks[:, image_size // 4 : -image_size // 4, image_size // 4 : -image_size // 4] = 0
        state, on_device = jax.device_put(host), jax.device_put((images, masks))

        def run() -> Any:
            nonlocal state
            state, value = compiled(state, *on_device)
            return value

        return run

    return build


def main() -> None:
    """Measure and print a row for each batch."""
    arguments = parse()
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", _GPU_MEMORY_SHARE)
    if arguments.device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    device = jax.devices()[0]
    if arguments.device == "gpu" and device.platform != "gpu":
        raise UsageError(
            f"no CUDA GPU: jax {jax.__version__} sees only {device.device_kind!r}. This needs an "
            "NVIDIA GPU with its driver, and jax[cuda12]. --device cpu --image-size 64 --batch 1 "
            "measures the same on the processor"
        )
    # JAX's own default is TF32 on GPUs that have it.
    products = "float32" if arguments.precision == "float32" else "tensorfloat32"
    jax.config.update("jax_default_matmul_precision", products)
    build = build_training(
        arguments.image_size,
        base_channels=arguments.base_channels,
        policy="mixed_bfloat16" if arguments.precision == "bfloat16" else "float32",
    )
    print(
        f"{device.device_kind}, jax {jax.__version__}: a training step at {arguments.image_size} × "
        f"{arguments.image_size} pixels in {arguments.precision}\n\n"
        "| batch | images/s | ms a step | GiB at most |\n|---|---|---|---|",
        flush=True,
    )
    for batch, seconds in batches(
        build,
        arguments.batch,
        arguments.max_batch,
        steps=arguments.steps,
        rounds=arguments.rounds,
    ):
        memory = device.memory_stats()
        peak = memory["peak_bytes_in_use"] if memory else peak_bytes_of_process()
        speed = f"{batch / seconds:.4g} | {1000 * seconds:.4g} | {peak / _GIB:.3g}"
        print(f"| {batch} | {speed} |", flush=True)


if __name__ == "__main__":
    cli.run(main)
