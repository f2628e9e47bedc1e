"""Build onedl-mmcv's compiled operations against the environment's torch; keep a single cv2.

There is no ready wheel for every torch, and pip's isolated build would fetch a CUDA torch only to
compile against it.
"""

import base64
import hashlib
import zipfile
from pathlib import Path

from pconv_hpc.install.toolchain import Cuda, Toolchain
from pconv_hpc.install.wheel_cache import wheel_key

VERSION = "2.3.6"

# The headless build has no need of libGL, which compute nodes lack.
OPENCV_VERSION = "4.12.0.88"


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


def write_opencv_stand_in(out: Path) -> Path:
    """Write a wheel named opencv-python that is empty and asks for the headless one instead.

    onedl-mmcv and imaug require opencv-python by name, onedl-mmdetection through them. Installed
    beside the headless build, the two overwrite each other's files, and the one that needs libGL
    may win.
    """
    version = f"{OPENCV_VERSION}+headless"
    info = f"opencv_python-{version}.dist-info"
    metadata = (
        "Metadata-Version: 2.1\n"
        "Name: opencv-python\n"
        f"Version: {version}\n"
        "Summary: Empty; stands for opencv-python-headless, which has the same cv2\n"
        f"Requires-Dist: opencv-python-headless=={OPENCV_VERSION}\n"
    )
    files = {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: pconv_hpc\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},{_record_hash(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = out / f"opencv_python-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
