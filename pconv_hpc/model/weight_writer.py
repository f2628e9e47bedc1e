"""Writes weights files; needs no backend of Keras. ``weights.py`` describes and reads them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pconv_hpc.foundation.arrays.hdf5 import h5py, open_for_writing
from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.config import ModelConfig, config_to_mapping
from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.model.weight_header import FORMAT_VERSION, WEIGHTS_FORMAT

_MAX_ATTRIBUTE_BYTES = 60_000  # HDF5 keeps attributes below 64 KiB


def write_arrays(group: h5py.Group, arrays: Mapping[str, np.ndarray]) -> None:
    """Write numbers as plain datasets; a slash in a name makes groups inside ``group``."""
    for name, array in arrays.items():
        group.create_dataset(name, data=array)


def write_weight_file(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    config: ModelConfig,
    *,
    dtype: Literal["float32", "float16"] = "float32",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network's numbers to a weights file, atomically.

    Args:
        path: file to write or replace.
        arrays: of every variable of ``build_pconv_unet(config)``, by its path.
        config: the network's shape, kept in the file.
        dtype: type on disk; float16 halves the file and rounds to 11 bits.
        metadata: anything that JSON can hold, for people and for ``load_model``'s caller.

    Raises:
        PconvError: a value is too large for float16, or the metadata for an attribute.
    """
    converted = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            converted[name] = array.astype(dtype)
        if not np.isfinite(converted[name]).all():
            raise PconvError(f"{path}: {name!r} holds values that {dtype} cannot; nothing written")
    described = json.dumps(dict(metadata or {}))
    if len(described) > _MAX_ATTRIBUTE_BYTES:
        raise PconvError(f"{path}: metadata of {len(described)} bytes; at most 60,000 are kept")
    with atomic_path(path) as temporary, open_for_writing(temporary) as file:
        file.attrs["format"] = WEIGHTS_FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["model_config"] = json.dumps(config_to_mapping(config))
        file.attrs["metadata"] = described
        file.attrs["dtype"] = dtype
        write_arrays(file.create_group("model"), converted)
