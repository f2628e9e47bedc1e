"""A device as torch drives it: every operation of the training step is launched by itself."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from pconv_hpc.bench.gpu_device import Kernel
from pconv_hpc.bench.memory import peak_bytes_of_process
from pconv_hpc.model.losses import InpaintingLoss

_MICROSECONDS = 1e6


class TorchDevice:
    """The device that Keras' torch backend computes on; see ``gpu_device.Device``."""

    def __init__(self) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def is_gpu(self) -> bool:
        return self._device == "cuda"

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name() if self.is_gpu else "cpu"

    @property
    def framework(self) -> str:
        return f"torch {torch.__version__}"

    def use_precision(self, precision: str) -> None:
        name = "ieee" if precision == "float32" else "tf32"
        torch.backends.cuda.matmul.fp32_precision = name
        torch.backends.cudnn.conv.fp32_precision = name

    def matrix_product(self, size: int, dtype: str) -> Callable[[], Any]:
        factors = [
            torch.randn(size, size, device=self._device, dtype=getattr(torch, dtype))
            for _ in range(2)
        ]
        return lambda: torch.matmul(*factors)

    def training_step(
        self,
        model: keras.Model,
        loss: InpaintingLoss,
        optimizer: keras.optimizers.Optimizer,
        images: np.ndarray,
        masks: np.ndarray,
    ) -> Callable[[], Any]:
        batch = [torch.from_numpy(array).to(self._device) for array in (images, masks)]
        variables = model.trainable_variables

        def run() -> Any:
            model.zero_grad()
            truth, valid = batch[0].float() / 255.0, batch[1].float()
            value = loss(model([truth, valid], training=True), truth, valid)["loss"]
            value.backward()
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in variables], variables)
            return value.detach()

        return run

    def wait(self, value: Any) -> None:
        del value  # torch waits for a device as a whole
        if self.is_gpu:
            torch.cuda.synchronize()

    def forget_peak(self) -> None:
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        return torch.cuda.max_memory_allocated() if self.is_gpu else peak_bytes_of_process()

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, torch.OutOfMemoryError)

    def kernels(self, work: Callable[[], Any]) -> list[Kernel]:
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self.is_gpu else [])]
        with torch.profiler.profile(activities=activities) as profile:
            self.wait(work())
        wanted = DeviceType.CUDA if self.is_gpu else DeviceType.CPU
        return [
            Kernel(
                event.key,
                (event.self_device_time_total if self.is_gpu else event.self_cpu_time_total)
                / _MICROSECONDS,
                event.count,
            )
            for event in profile.key_averages()
            if event.device_type == wanted
        ]
