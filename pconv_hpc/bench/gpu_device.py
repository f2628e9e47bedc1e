"""What the measurements ask of a device, whichever backend of Keras drives it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from pconv_hpc.model.losses import InpaintingLoss


@dataclass(frozen=True)
class Kernel:
    """What a profiler saw of one kernel, over all its calls."""

    name: str
    seconds: float
    calls: int


class Device(Protocol):
    """A GPU, or a CPU in its place."""

    @property
    def is_gpu(self) -> bool:
        """Whether it is a CUDA GPU."""

    @property
    def name(self) -> str:
        """What the device is called."""

    @property
    def framework(self) -> str:
        """The backend and its version."""

    def use_precision(self, precision: str) -> None:
        """Multiply float32 matrices in that precision from now on; see ``gpu_request.Request``."""

    def matrix_product(self, size: int, dtype: str) -> Callable[[], Any]:
        """Return a function that multiplies two random square matrices and returns the product."""

    def training_step(
        self,
        model: keras.Model,
        loss: InpaintingLoss,
        optimizer: keras.optimizers.Optimizer,
        images: np.ndarray,
        masks: np.ndarray,
    ) -> Callable[[], Any]:
        """Return a function that takes one training step and returns the loss, without waiting.

        Each begins with the weights that ``model`` was made with, or where the last one ended.
        ``images`` are uint8 (B, H, W, 3), ``masks`` uint8 (B, H, W, 1), 1 = valid; both are copied
        to the device once.
        """

    def wait(self, value: Any) -> None:
        """Wait until ``value`` is computed, and with it all that was asked for before."""

    def forget_peak(self) -> None:
        """Begin anew to look for the most memory held, where the backend can do that."""

    def peak_bytes(self) -> int:
        """Return the most memory held on the device; on a CPU, by this process."""

    def is_out_of_memory(self, error: Exception) -> bool:
        """Return whether an error says that the device's memory is full."""

    def kernels(self, work: Callable[[], Any]) -> list[Kernel]:
        """Profile ``work()``, waiting for what it returns, and return the kernels it ran."""
