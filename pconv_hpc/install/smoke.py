"""Prove that an environment works: ``python -m pconv_hpc.install.smoke EXTRA`` inside it.

Each check imports what an extra installs and uses the compiled part of it once.
"""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.install import opencv
from pconv_hpc.options import cli


def _import_all(*modules: str) -> str:
    """Import modules; return the last one's name and version."""
    for module in modules:
        last = importlib.import_module(module)
    return f"{last.__name__} {last.__version__}"


def _check_core() -> str:
    _import_all("h5py", "imagecodecs", "matplotlib", "numpy", "PIL", "skimage", "tifffile", "tqdm")
    _check_opencv()
    if not importlib.import_module("patchmatch").patchmatch_available:
        raise PconvError(
            "pypatchmatch's library cannot be loaded: remove .venv, then run this again"
        )
    return f"{_import_all('scipy.ndimage', 'yaml', 'keras')}, {_import_all('tensorflow')}"


def _check_opencv() -> None:
    for name in opencv.STOOD_FOR:
        if metadata.version(name) != opencv.STAND_IN_VERSION:
            raise PconvError(
                f"{name} overwrites files of {opencv.PACKAGE}: remove .venv, then run this again"
            )
    if not hasattr(importlib.import_module("cv2"), "xphoto"):
        raise PconvError("cv2 lacks its extra modules: remove .venv, then run this again")


def _loaded_mpi_libraries() -> set[Path]:
    """Return the MPI libraries in this process's memory."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    paths = {Path(line.split(maxsplit=5)[5]) for line in maps if line.count("/")}
    return {path.resolve() for path in paths if path.name.startswith("libmpi.so")}


def _check_train() -> str:
    mpi4py = importlib.import_module("mpi4py")
    mpi4py.rc.initialize = False  # importing must not need a launcher
    mpi = importlib.import_module("mpi4py.MPI")
    horovod = importlib.import_module("horovod.tensorflow")
    if not (horovod.mpi_built() and horovod.gloo_built()):
        raise PconvError("Horovod was built without MPI or without Gloo")
    libraries = _loaded_mpi_libraries()
    if len(libraries) > 1:
        raise PconvError(
            "Horovod and mpi4py load different MPI libraries: "
            f"{', '.join(sorted(map(str, libraries)))}. Remove .venv and run this again with only "
            "one MPI on the PATH and in LD_LIBRARY_PATH"
        )
    library = mpi.Get_library_version().split(",")[0].splitlines()[0]
    return f"Horovod {metadata.version('horovod')} with MPI and Gloo, mpi4py with {library}"


def _check_segment() -> str:
    torch = importlib.import_module("torch")
    nms = importlib.import_module("mmcv.ops").nms
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 20.0, 29.0, 29.0]])
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)[1].tolist()
    if kept != [0, 2]:
        raise PconvError(f"mmcv's compiled non-maximum suppression kept {kept}, expected [0, 2]")
    return f"torch {torch.__version__}, {_import_all('mmdet.apis', 'mmdet')}"


def _check_gpu() -> str:
    horovod = importlib.import_module("horovod.tensorflow")
    if not horovod.nccl_built():
        raise PconvError(
            "Horovod was built without NCCL: remove .venv, then run this again with --gpu"
        )
    return "Horovod with NCCL"


CHECKS: dict[str, Callable[[], str]] = {
    "core": _check_core,
    "train": _check_train,
    "gpu": _check_gpu,
    "segment": _check_segment,
    "page": partial(_import_all, "uvicorn", "starlette"),
    "demo": partial(_import_all, "sklearn"),
    "test": partial(
        _import_all, "atheris", "hypothesis", "jax", "mypy", "pytest_timeout", "xdist", "pytest"
    ),
}


def main() -> None:
    """Check the one extra that the command line names; torch and TensorFlow never meet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    extra = " ".join(sys.argv[1:])
    if extra not in CHECKS:
        raise UsageError(f"found {extra!r}, expected one of: {', '.join(CHECKS)}")
    print(CHECKS[extra]())


if __name__ == "__main__":
    cli.run(main)
