"""What a weights file or a checkpoint says of itself; read before a backend of Keras is loaded."""

from pathlib import Path
from typing import Any

from pconv_hpc.foundation.arrays.hdf5 import h5py, open_for_reading, text_attribute
from pconv_hpc.foundation.config import ModelConfig, model_config_from_mapping
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.json_files import parse_json
from pconv_hpc.model.find_weights import find_weights

WEIGHTS_FORMAT = "pconv_hpc weights"
CHECKPOINT_FORMAT = "pconv_hpc checkpoint"
FORMAT_VERSION = 1


def check_weights(path: Path) -> None:
    """Raise ``UsageError`` unless ``path`` stands for a weights file that describes a network.

    Args:
        path: see ``find_weights``.
    """
    with open_for_reading(find_weights(path).path) as file:
        read_model_config(file)


def read_model_config(file: h5py.File) -> ModelConfig:
    """Return the shape of the network that an open file belongs to.

    Raises:
        UsageError: the file is of another kind or version, or damaged.
    """
    found, version = text_attribute(file, "format"), file.attrs.get("format_version")
    if found not in (WEIGHTS_FORMAT, CHECKPOINT_FORMAT) or version != FORMAT_VERSION:
        raise UsageError(
            f"{file.filename}: is {found!r} version {version}; expected {WEIGHTS_FORMAT!r} or "
            f"{CHECKPOINT_FORMAT!r} version {FORMAT_VERSION}"
        )
    return model_config_from_mapping(read_json_attribute(file, "model_config"))


def read_json_attribute(file: h5py.File, name: str) -> dict[str, Any]:
    """Return an attribute that holds a JSON object, or raise ``UsageError``."""
    where = f"{file.filename}: attribute {name!r}"
    return parse_json(text_attribute(file, name), dict[str, Any], where)
