"""Weight files: HDF5 that describes the network it belongs to, and is read with suspicion.

Layout: attributes ``format``, ``format_version``, ``model_config`` and ``metadata`` (JSON), and a
group ``model`` with one dataset per variable, named by the variable's path. A training checkpoint
has the same attributes (``metadata`` apart) and group beside others, so both can be loaded.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from keras import ops

from pconv_hpc.foundation.arrays.hdf5 import get_dataset, h5py, open_for_reading
from pconv_hpc.foundation.config import ModelConfig, config_to_mapping
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.unet import PConvUNet, build_pconv_unet, count_parameters
from pconv_hpc.model.weight_header import read_json_attribute, read_model_config
from pconv_hpc.model.weight_writer import write_weight_file

_SMALLEST_ITEM_BYTES = 2  # float16


def variable_arrays(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return copies of Keras variables on the host: ``{path: array}``."""
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in variables}


def read_arrays(file: h5py.File, group: str) -> dict[str, np.ndarray]:
    """Return every dataset below ``group`` of an open file: ``{name inside the group: array}``.

    Raises:
        UsageError: there is no such group, or something in it is a link, no numbers, cut short or
            claims to be larger than the file.
    """
    path = Path(file.filename)
    if not isinstance(file.get(group, getlink=True), h5py.HardLink) or not isinstance(
        file[group], h5py.Group
    ):
        raise UsageError(f"{path}: has no group {group!r}; is it another kind of file?")
    names: list[str] = []

    def note_dataset(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(node, h5py.Dataset):
            names.append(name)

    file[group].visititems(note_dataset)
    budget = path.stat().st_size
    arrays = {}
    for name in names:
        dataset = get_dataset(file[group], name)
        budget -= dataset.nbytes
        if dataset.dtype.kind not in "fiu" or budget < 0:
            raise UsageError(
                f"{path}: {name!r} claims shape {dataset.shape} of {dataset.dtype}; expected "
                "numbers that the file has room for"
            )
        try:
            arrays[name] = dataset[()]
        except OSError as error:
            raise UsageError(f"{path}: {name!r} cannot be read ({error}); truncated?") from error
    return {name: np.asarray(array) for name, array in arrays.items()}


def assign_variables(
    variables: Sequence[Any], arrays: Mapping[str, np.ndarray], *, source: Path
) -> None:
    """Give each variable the array of its path; all are checked before the first is changed.

    Raises:
        UsageError: names or shapes differ, or a value is not finite.
    """
    expected = {v.path: tuple(v.shape) for v in variables}
    problems = [
        *(f"{name!r} is missing" for name in expected if name not in arrays),
        *(f"{name!r} is unexpected" for name in arrays if name not in expected),
        *(
            f"{name!r} has shape {arrays[name].shape}, expected {shape}"
            for name, shape in expected.items()
            if name in arrays and arrays[name].shape != shape
        ),
    ]
    if not problems:
        problems = [
            f"{name!r} holds values that are not finite"
            for name, array in arrays.items()
            if not np.isfinite(array).all()
        ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UsageError(
            f"{source}: does not fit the network: {'; '.join(problems[:3])}{more}. Are the weights "
            "from another configuration or version?"
        )
    for variable in variables:
        variable.assign(arrays[variable.path])


def save_weights(
    path: Path,
    model: PConvUNet,
    config: ModelConfig,
    *,
    dtype: Literal["float32", "float16"] = "float32",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network to a weights file, atomically.

    Args:
        path: file to write or replace.
        model: what ``build_pconv_unet(config)`` gave.
        config: its shape, kept in the file.
        dtype: type on disk; float16 halves the file and rounds to 11 bits.
        metadata: anything that JSON can hold, for people and for ``load_model``'s caller.

    Raises:
        PconvError: a value is too large for float16, or the metadata for an attribute.
    """
    arrays = variable_arrays(model.variables)
    write_weight_file(path, arrays, config, dtype=dtype, metadata=metadata)


def load_model(
    path: Path, *, dtype: str = "float32"
) -> tuple[PConvUNet, ModelConfig, dict[str, Any]]:
    """Build the network a weights file or a checkpoint describes, with its weights.

    Args:
        path: what ``save_weights`` wrote, or a training checkpoint.
        dtype: Keras dtype policy to compute in.

    Returns:
        The network, its configuration and the file's metadata (empty for a checkpoint).

    Raises:
        UsageError: the file is of another kind or version, damaged, or does not fit itself.
    """
    config, metadata, arrays = _read_weights(Path(path))
    model = build_pconv_unet(config, dtype=dtype)
    assign_variables(model.variables, arrays, source=Path(path))
    return model, config, metadata


def load_initial_weights(model: PConvUNet, config: ModelConfig, path: Path) -> None:
    """Give an existing network the weights of a weights file or checkpoint, to train on from there.

    Raises:
        UsageError: as ``load_model``, or the file's network is not the one of ``config``.
    """
    found, _, arrays = _read_weights(Path(path))
    # how moving statistics are kept may change between training and fine-tuning
    found = dataclasses.replace(found, batch_norm_momentum=config.batch_norm_momentum)
    if found != config:
        theirs, ours = config_to_mapping(found), config_to_mapping(config)
        different = {k: v for k, v in theirs.items() if v != ours[k]}
        listed = "; ".join(f"model.{k} is {v}, here {ours[k]}" for k, v in different.items())
        words = " ".join(f"--set {shlex.quote(f'model.{k}={v}')}" for k, v in different.items())
        raise UsageError(
            f"{path}: weights of another network ({listed}); set the same model section as there: "
            f"{words}"
        )
    assign_variables(model.variables, arrays, source=Path(path))


def _read_weights(path: Path) -> tuple[ModelConfig, dict[str, Any], dict[str, np.ndarray]]:
    with open_for_reading(path) as file:
        config = read_model_config(file)
        if count_parameters(config) * _SMALLEST_ITEM_BYTES > path.stat().st_size:
            raise UsageError(
                f"{path}: describes a network of {count_parameters(config):,} parameters and is "
                "too small to hold them; damaged or incomplete"
            )
        metadata = read_json_attribute(file, "metadata") if "metadata" in file.attrs else {}
        return config, metadata, read_arrays(file, "model")
