"""Arrays of known names and shapes out of an ``.npz`` file that anyone may have made."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from pconv_hpc.foundation.errors import UsageError

_SUFFIX = ".npy"
# Encrypted files are a RuntimeError, unknown ways of compression a NotImplementedError.
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


def array_names(path: Path) -> frozenset[str]:
    """Return the names of the arrays in an ``.npz`` file.

    Raises:
        UsageError: there is no such file, or it is of another kind.
    """
    with _open(path) as archive:
        names = archive.namelist()
    return frozenset(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


def read_float_arrays(
    path: Path, shapes: Mapping[str, tuple[int, ...]], *, expected: str
) -> dict[str, np.ndarray]:
    """Read arrays of floating-point numbers; nothing is unpickled.

    What the file claims is checked before memory is taken: it never takes more than ``shapes`` say.

    Args:
        path: the file.
        shapes: what to read, and how large each array must be.
        expected: what the file should be, in words, for the error.

    Returns:
        float32 arrays by name.

    Raises:
        UsageError: the file is missing, damaged, or lacks an array of that name, shape and type.
    """
    with _open(path) as archive:
        return {name: _read(archive, path, name, shapes[name], expected) for name in shapes}


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise UsageError(f"{path}: not a readable .npz file ({error})") from error


def _read(
    archive: zipfile.ZipFile, path: Path, name: str, shape: tuple[int, ...], expected: str
) -> np.ndarray:
    try:
        with archive.open(name + _SUFFIX) as stream:
            found, fortran_order, dtype = _read_header(stream)
            if found != shape or dtype.kind != "f":
                raise UsageError(
                    f"{path}: {name!r} has shape {found} and type {dtype}; expected {shape} of "
                    "floating-point numbers"
                )
            num_bytes = int(np.prod(shape)) * dtype.itemsize
            data = stream.read(num_bytes)
    except KeyError as error:
        raise UsageError(f"{path}: has no array {name!r}; expected {expected}") from error
    except _UNREADABLE as error:
        raise UsageError(f"{path}: array {name!r} is not readable ({error})") from error
    if len(data) != num_bytes:
        raise UsageError(f"{path}: array {name!r} is truncated")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
    return array.astype(np.float32)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(stream)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(stream)
    return npy_format.read_array_header_2_0(stream)
