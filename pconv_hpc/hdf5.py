"""The one place that imports h5py: locking set right, files from outside read with suspicion."""

import os
from pathlib import Path

# Lustre and GPFS mounts often have no flock; HDF5 reads this once, when its library loads.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py
import numpy as np

from pconv_hpc.errors import UsageError

__all__ = ["get_dataset", "h5py", "open_for_reading", "text_attribute"]


def open_for_reading(path: Path) -> h5py.File:
    """Open an HDF5 file, or raise ``UsageError`` that says what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected an HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UsageError(
            f"{path}: not a readable HDF5 file ({error}); is it truncated? Make or copy it again"
        ) from error


def get_dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return the dataset ``name`` (a path inside ``group``) if its data lie in this very file.

    HDF5 can point a name at another file (external and soft links, external storage, virtual
    datasets); a hostile file would use that to read what its owner may not. Such a dataset, a
    missing one or a group in its place raise ``UsageError``.
    """
    filename = group.file.filename
    node = group
    for part in name.strip("/").split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise UsageError(f"{filename}: has no dataset {name!r}; is it another kind of file?")
        if not isinstance(link, h5py.HardLink):
            raise UsageError(f"{filename}: {name!r} is a link to elsewhere; refused")
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise UsageError(f"{filename}: {name!r} is a group, expected a dataset")
    if node.external or node.is_virtual:
        raise UsageError(f"{filename}: the data of {name!r} lie in another file; refused")
    return node


def text_attribute(node: h5py.Group | h5py.Dataset, name: str) -> str:
    """Return the attribute ``name`` as text, or raise ``UsageError`` if it is not there."""
    value = node.attrs.get(name)
    if isinstance(value, bytes | np.bytes_):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise UsageError(
            f"{node.file.filename}: has no text attribute {name!r}; is it another kind of file?"
        )
    return value
