"""Weights of LPIPS: found in .npz files, and made of the .pth files that others publish.

Names and layouts are those of torchvision's AlexNet (``features.0.weight``, OIHW, ...) and of the
linear heads of LPIPS v0.1 (``lin0.model.1.weight``, (1, C, 1, 1), ...).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pconv_hpc.foundation.arrays.npz import array_names, read_float_arrays
from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.model.weights_catalog import CATALOG

NPZ_NAME = "lpips_alexnet.npz"
_EXPECTED = "AlexNet's features and the linear heads of LPIPS v0.1 (docs/guide/evaluate.md)"


class AlexNetConvolution(NamedTuple):
    """One convolution of AlexNet; a ReLU follows, where LPIPS looks."""

    name: str
    channels: int
    filters: int
    window: int
    stride: int
    padding: int
    pooled_before: bool  # a 3×3 max pooling with stride 2 precedes


CONVOLUTIONS = (
    AlexNetConvolution("features.0", 3, 64, 11, 4, 2, False),
    AlexNetConvolution("features.3", 64, 192, 5, 1, 2, True),
    AlexNetConvolution("features.6", 192, 384, 3, 1, 1, True),
    AlexNetConvolution("features.8", 384, 256, 3, 1, 1, False),
    AlexNetConvolution("features.10", 256, 256, 3, 1, 1, False),
)


def array_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of every array that LPIPS consists of."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, c in enumerate(CONVOLUTIONS):
        shapes[f"{c.name}.weight"] = (c.filters, c.channels, c.window, c.window)
        shapes[f"{c.name}.bias"] = (c.filters,)
        shapes[f"lin{number}.model.1.weight"] = (1, c.filters, 1, 1)
    return shapes


def read_lpips_arrays(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return all arrays of LPIPS, float32 by name.

    Args:
        paths: .npz files that together hold them, or folders with such files.

    Raises:
        UsageError: a file is no .npz file, or an array is in none of them or not of its shape.
    """
    missing = array_shapes()
    arrays: dict[str, np.ndarray] = {}
    for path in _npz_files(paths):
        here = {name: shape for name, shape in missing.items() if name in array_names(path)}
        arrays |= read_float_arrays(path, here, expected=_EXPECTED)
        missing = {name: shape for name, shape in missing.items() if name not in here}
    if missing:
        raise UsageError(
            f"{', '.join(map(str, paths))}: holds no array {next(iter(missing))!r}; expected .npz "
            f"files with {_EXPECTED}: pconv-hpc fetch-weights lpips makes one"
        )
    return arrays


def _npz_files(paths: Sequence[Path]) -> list[Path]:
    return [
        file for path in paths for file in (sorted(path.glob("*.npz")) if path.is_dir() else [path])
    ]


def convert_lpips(folder: Path) -> Path:
    """Make ``lpips_alexnet.npz`` of the two .pth files that were fetched to ``folder``.

    torch reads them, and no code that they may hold is run (``weights_only``).

    Raises:
        UsageError: a file is missing, or is not what its name says.
        PconvError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise PconvError(
            f"{folder}: the files are there, but turning them into {NPZ_NAME} takes torch, once: "
            "run this command where it is installed (make install PROFILE=erase), and copy that "
            "one file"
        ) from error
    found: dict[str, np.ndarray] = {}
    for file in CATALOG["lpips"]:
        path = folder / file.name
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            found |= {name: tensor.numpy() for name, tensor in state.items()}
        except Exception as error:  # torch raises nearly anything on a file of another kind
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{path}: not readable as a state dict ({reason})") from error
    arrays = {name: found.get(name, np.empty(0)) for name in array_shapes()}
    for name, shape in array_shapes().items():
        if arrays[name].shape != shape:
            raise UsageError(
                f"{folder}: {name!r} is missing or of another shape than {shape}; expected "
                f"{_EXPECTED}"
            )
    with atomic_path(folder / NPZ_NAME) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return folder / NPZ_NAME
