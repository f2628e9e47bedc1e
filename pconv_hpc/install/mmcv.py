"""Build onedl-mmcv's compiled operations against the environment's torch.

There is no ready wheel for every torch, and pip's isolated build would fetch a CUDA torch only to
compile against it.
"""

from pathlib import Path

from pconv_hpc.install.toolchain import Cuda, Toolchain
from pconv_hpc.install.wheel_cache import wheel_key

VERSION = "2.3.6"


def key(torch_version: str, cuda: Cuda | None) -> str:
    """Return the key the wheel is kept under."""
    device = f"cuda-cc{cuda.architectures.replace(',', '_')}" if cuda else "cpu"
    return wheel_key("onedl-mmcv", VERSION, f"torch{torch_version}", device)


def build(out: Path, *, toolchain: Toolchain) -> None:
    """Build the wheel into ``out``, against the torch that the toolchain's Python has."""
    cuda = toolchain.cuda
    settings = {
        "MAX_JOBS": str(toolchain.num_jobs),
        "FORCE_CUDA": "1" if cuda else "0",
        "CFLAGS": "-O2 -g0 -DNDEBUG",  # Python's own ask for debugging symbols, which cost minutes
    }
    if cuda:
        capabilities = [f"{number[:-1]}.{number[-1]}" for number in cuda.architectures.split(",")]
        settings |= {"CUDA_HOME": str(cuda.home), "TORCH_CUDA_ARCH_LIST": ";".join(capabilities)}
    toolchain.build_wheel(f"onedl-mmcv=={VERSION}", out, log="onedl-mmcv", settings=settings)
