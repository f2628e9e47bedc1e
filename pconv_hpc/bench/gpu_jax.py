"""A device as JAX drives it: the whole training step is one XLA program."""

import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.profiler import ProfileData

from pconv_hpc.bench.gpu_device import Kernel
from pconv_hpc.bench.memory import peak_bytes_of_process
from pconv_hpc.model.losses import InpaintingLoss

_NANOSECONDS = 1e9


class JaxDevice:
    """The first device that JAX sees; see ``gpu_device.Device``."""

    def __init__(self) -> None:
        self._device = jax.devices()[0]

    @property
    def is_gpu(self) -> bool:
        return bool(self._device.platform == "gpu")

    @property
    def name(self) -> str:
        return str(self._device.device_kind)

    @property
    def framework(self) -> str:
        return f"jax {jax.__version__}"

    def use_precision(self, precision: str) -> None:
        # JAX's own default is TF32 on GPUs that have it
        name = "float32" if precision == "float32" else "tensorfloat32"
        jax.config.update("jax_default_matmul_precision", name)

    def matrix_product(self, size: int, dtype: str) -> Callable[[], Any]:
        keys = jax.random.split(jax.random.key(0))
        factors = [jax.random.normal(key, (size, size), jnp.dtype(dtype)) for key in keys]
        multiply = jax.jit(jnp.matmul)
        return lambda: multiply(*factors)

    def training_step(
        self,
        model: keras.Model,
        loss: InpaintingLoss,
        optimizer: keras.optimizers.Optimizer,
        images: np.ndarray,
        masks: np.ndarray,
    ) -> Callable[[], Any]:
        def loss_of(trainable: Any, constant: Any, images: Any, masks: Any) -> Any:
            truth, valid = jnp.float32(images) / 255.0, jnp.float32(masks)
            output, constant = model.stateless_call(
                trainable, constant, [truth, valid], training=True
            )
            return loss(output, truth, valid)["loss"], constant

        def step(state: Any, images: Any, masks: Any) -> Any:
            trainable, constant, moments = state
            gradient = jax.value_and_grad(loss_of, has_aux=True)
            (value, constant), gradients = gradient(trainable, constant, images, masks)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return (trainable, constant, moments), value

        variables = model.trainable_variables, model.non_trainable_variables, optimizer.variables
        # Copies on the host, as the step is given the arrays on the device to overwrite.
        host = [[np.asarray(v.value) for v in group] for group in variables]
        state = jax.device_put(host)
        batch = jax.device_put((images, masks))
        compiled = jax.jit(step, donate_argnums=0)

        def run() -> Any:
            nonlocal state
            state, value = compiled(state, *batch)
            return value

        return run

    def wait(self, value: Any) -> None:
        jax.block_until_ready(value)

    def forget_peak(self) -> None:
        """JAX keeps the most memory held since the process began."""

    def peak_bytes(self) -> int:
        statistics = self._device.memory_stats()
        return int(statistics["peak_bytes_in_use"]) if statistics else peak_bytes_of_process()

    def is_out_of_memory(self, error: Exception) -> bool:
        return "RESOURCE_EXHAUSTED" in str(error)

    def kernels(self, work: Callable[[], Any]) -> list[Kernel]:
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                self.wait(work())
            (trace,) = Path(folder).rglob("*.xplane.pb")
            profile = ProfileData.from_file(str(trace))
        found: dict[str, list[float]] = defaultdict(list)
        for plane in profile.planes:
            for line in plane.lines:
                for event in line.events:
                    if self._is_kernel(plane.name, line.name, event):
                        found[event.name].append(event.duration_ns / _NANOSECONDS)
        return [Kernel(name, sum(seconds), len(seconds)) for name, seconds in found.items()]

    def _is_kernel(self, plane: str, line: str, event: Any) -> bool:
        if self.is_gpu:
            return plane.startswith("/device:GPU") and line.startswith("Stream")
        return event.duration_ns > 0 and any(
            key == "hlo_op" and value == event.name for key, value in event.stats
        )
