"""Arrays in memory that a framework can take over as tensors without copying them."""

import numpy as np
from numpy.typing import NDArray

ALIGNMENT_BYTES = 64  # what TensorFlow, JAX and PyTorch ask of a tensor's first byte on a CPU


def aligned_empty(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a new uint8 array whose first element lies at a multiple of 64 bytes."""
    num_bytes = int(np.prod(shape))
    memory = np.empty(num_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + num_bytes].reshape(shape)
