"""A program that measures the training step at one image size in one precision.

    KERAS_BACKEND=jax|torch python -m pconv_hpc.bench.gpu_measure REQUEST

REQUEST is a ``gpu_request.Request`` in JSON. Each finding is printed at once as a line of JSON, so
that those before a crash are not lost: ``machine``, ``ceiling``, one ``run`` for each batch size,
and ``end``. It needs Keras, jax or torch, NumPy, h5py and PyYAML, but no TensorFlow. It ends when
its standard input is closed: whoever asked is then gone, and the GPU is for others.
"""

import gc
import json
import math
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pconv_hpc import cli
from pconv_hpc.bench.flops import training_step_flops
from pconv_hpc.bench.gpu_device import Device, Kernel
from pconv_hpc.bench.gpu_request import Request
from pconv_hpc.config import LossConfig, ModelConfig
from pconv_hpc.errors import EXIT_FAILED, PconvError, UsageError
from pconv_hpc.model.losses import InpaintingLoss
from pconv_hpc.model.unet import build_pconv_unet
from pconv_hpc.model.vgg import VGG16Features, load_vgg16

Findings = Iterator[tuple[str, Any]]

_LEARNING_RATE = 2e-4
_WARM_UP_STEPS = 2
_PROFILED_STEPS = 3
_NUM_KERNELS = 15
_HOLE_RATIO = 0.25


def find_device(request: Request) -> Device:
    """Return the device that the backend sees.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    device: Device
    if keras.backend.backend() == "jax":
        from pconv_hpc.bench.gpu_jax import JaxDevice

        device = JaxDevice()
    else:
        from pconv_hpc.bench.gpu_torch import TorchDevice

        device = TorchDevice()
    if request.device == "gpu" and not device.is_gpu:
        raise UsageError(
            f"no CUDA GPU: {device.framework} sees only {device.name!r}. This needs an NVIDIA GPU "
            "with its driver, and jax[cuda12] or a CUDA build of torch (--backend). "
            "--device cpu --sizes 64 --batch 1 measures the same on the processor"
        )
    return device


def measure(request: Request, device: Device) -> Findings:
    """Yield each finding as its name and what was found."""
    yield "machine", {"device": device.name, "framework": device.framework}
    device.use_precision(request.precision)
    dtype = "bfloat16" if request.precision == "bfloat16" else "float32"
    yield "ceiling", _ceiling(request, device, dtype)

    policy = "mixed_bfloat16" if request.precision == "bfloat16" else "float32"
    random.seed(0)  # what Keras draws its seeds from; its own function would load TensorFlow
    config = ModelConfig(levels=request.levels, base_channels=request.base_channels)
    model = build_pconv_unet(config, dtype=policy)
    optimizer = keras.optimizers.Adam(_LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    loss = InpaintingLoss(LossConfig(), _vgg(request.vgg_weights, policy))
    flops = training_step_flops(config, request.image_size)

    def build(batch: int) -> Callable[[], Any]:
        arrays = _random_batch(batch, request.image_size)
        return device.training_step(model, loss, optimizer, *arrays)

    largest = refused = None
    batch = request.batch
    while batch <= request.max_batch:
        try:
            found = _run(build(batch), device, request)
        except Exception as error:
            if not device.is_out_of_memory(error):
                raise
            refused = batch
            break
        speed = batch / found["seconds_per_step"]
        yield "run", {"batch": batch, "images_per_second": speed, "flops": batch * flops} | found
        largest = batch
        batch *= 2
        gc.collect()
    yield "end", {"largest_batch": largest, "refused_batch": refused}


def _vgg(path: str | None, policy: str) -> VGG16Features:
    if path is not None:
        return load_vgg16(Path(path), dtype=policy)
    vgg = VGG16Features(dtype=policy)
    vgg.build((None, None, None, 3))
    return vgg


def _random_batch(batch: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, size, size, 3), np.uint8)
    masks = np.ones((batch, size, size, 1), np.uint8)
    side = round(size * math.sqrt(_HOLE_RATIO))
    for mask, (top, left) in zip(masks, rng.integers(0, size - side, (batch, 2)), strict=True):
        mask[top : top + side, left : left + side] = 0
    return images, masks


def _seconds_per_call(
    work: Callable[[], Any], device: Device, *, calls: int, rounds: int
) -> list[float]:
    """Return the seconds of a call in each round; the device is waited for once a round."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(calls):
            value = work()
        device.wait(value)
        found.append((time.perf_counter() - began) / calls)
    return found


def _ceiling(request: Request, device: Device, dtype: str) -> dict[str, Any]:
    size = request.matmul_size
    multiply = device.matrix_product(size, dtype)
    _seconds_per_call(multiply, device, calls=request.steps, rounds=1)
    seconds = _seconds_per_call(multiply, device, calls=request.steps, rounds=request.rounds)
    rate = 2 * size**3 / statistics.median(seconds)
    return {"matmul_size": size, "dtype": dtype, "flops_per_second": rate}


def _run(step: Callable[[], Any], device: Device, request: Request) -> dict[str, Any]:
    """Return what steps of one batch size cost."""
    device.forget_peak()
    for _ in range(_WARM_UP_STEPS):
        device.wait(step())
    seconds = _seconds_per_call(step, device, calls=request.steps, rounds=request.rounds)
    peak = device.peak_bytes()
    value = float(step())
    if not math.isfinite(value):
        raise PconvError(f"the loss is {value} after a few steps; what was timed is no training")

    def profiled() -> Any:
        for _ in range(_PROFILED_STEPS):
            value = step()
        return value

    kernels = device.kernels(profiled)
    return {
        "seconds_per_step": statistics.median(seconds),
        "rounds": seconds,
        "peak_bytes": peak,
        "kernel_seconds_per_step": sum(k.seconds for k in kernels) / _PROFILED_STEPS,
        "kernels": _top(kernels),
    }


def _top(kernels: list[Kernel]) -> list[dict[str, Any]]:
    """Return the kernels that take longest, with their share of the time of all."""
    total = sum(kernel.seconds for kernel in kernels)
    ordered = sorted(kernels, key=lambda kernel: -kernel.seconds)
    return [
        {
            "name": kernel.name,
            "share": kernel.seconds / total,
            "seconds_per_step": kernel.seconds / _PROFILED_STEPS,
            "calls_per_step": kernel.calls / _PROFILED_STEPS,
        }
        for kernel in ordered[:_NUM_KERNELS]
        if kernel.seconds > 0
    ]


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(EXIT_FAILED)


def main() -> None:
    """Measure what the command line asks for and print each finding as it is there."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    request = Request(**json.loads(sys.argv[1]))
    for name, found in measure(request, find_device(request)):
        print(json.dumps({name: found}), flush=True)


if __name__ == "__main__":
    cli.run(main)
