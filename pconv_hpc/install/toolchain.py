"""What the builds compile with: an environment's Python and, for GPUs, the CUDA toolkit."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.install.commands import Logged

_USUAL_CUDA_HOME = Path("/usr/local/cuda")
_DEFAULT_GPU_ARCHITECTURES = "80,90"  # A100; H100 and H200
_BYTES_PER_JOB = 2 << 30  # what one compiler process of these builds may need
_MAX_JOBS = 16  # login nodes have many cores, and other users


@dataclass(frozen=True)
class Cuda:
    """The CUDA toolkit to compile with, and the GPUs to compile for (compute capabilities)."""

    home: Path
    architectures: str


def find_cuda() -> Cuda:
    """Return the toolkit in ``$CUDA_HOME``, else the one of the ``nvcc`` on the PATH."""
    named = os.environ.get("HOROVOD_CUDA_HOME") or os.environ.get("CUDA_HOME")
    candidates = [Path(named)] if named else []
    if not named:
        if nvcc := shutil.which("nvcc"):
            candidates.append(Path(nvcc).resolve().parents[1])
        candidates.append(_USUAL_CUDA_HOME)  # that nvcc may be a script that only starts this one's
    for home in candidates:
        if (home / "bin" / "nvcc").is_file() and (home / "include" / "cuda_runtime.h").is_file():
            break
    else:
        raise UsageError(
            "--gpu needs the CUDA toolkit, and there is no bin/nvcc with include/cuda_runtime.h in "
            f"{' or '.join(map(str, candidates))}. Load it (`module load CUDA/12`) or set "
            "CUDA_HOME to its folder"
        )
    architectures = os.environ.get("HOROVOD_BUILD_CUDA_CC_LIST", _DEFAULT_GPU_ARCHITECTURES)
    return Cuda(home, architectures)


def default_num_jobs() -> int:
    """Return how many compilers to run at once: ``$MAX_JOBS``, else what cores and memory allow."""
    if (chosen := os.environ.get("MAX_JOBS", "")).isdecimal() and int(chosen) > 0:
        return int(chosen)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(len(os.sched_getaffinity(0)), memory // _BYTES_PER_JOB, _MAX_JOBS))


@dataclass(frozen=True)
class Toolchain:
    """Builds wheels with the packages that the interpreter ``python`` sees."""

    python: Path
    cuda: Cuda | None
    num_jobs: int
    logged: Logged

    def pip(self, *arguments: str, log: str, settings: Mapping[str, str] | None = None) -> None:
        """Run the interpreter's pip with ``settings`` added to the environment variables."""
        command = [str(self.python), "-m", "pip", *arguments]
        self.logged.run(command, log=log, environment=settings)

    def build_wheel(
        self, source: Path | str, out: Path, *, log: str, settings: Mapping[str, str]
    ) -> None:
        """Build the wheel of a source folder or a ``name==version`` into the folder ``out``."""
        # Without isolation: it must compile against this environment's TensorFlow or torch.
        flags = ["--no-deps", "--no-build-isolation", "--no-binary=:all:", "--verbose"]
        self.pip("wheel", *flags, f"--wheel-dir={out}", str(source), log=log, settings=settings)
