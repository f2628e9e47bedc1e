"""The one place that imports h5py: locking set right, files from outside read with suspicion."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Lustre and GPFS mounts often have no flock; HDF5 reads this once, when its library loads.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py
import numpy as np

from pconv_hpc.foundation.errors import UsageError

__all__ = [
    "get_contiguous_dataset",
    "get_dataset",
    "h5py",
    "open_for_reading",
    "open_for_writing",
    "text_attribute",
]


# what h5py raises, after opening as well, where the structure of a file is damaged
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError)


@contextlib.contextmanager
def open_for_reading(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file and close it when the block ends.

    Raises:
        UsageError: there is no such file, or it cannot be opened or, within the block, be read.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _UNREADABLE as error:
        raise UsageError(
            f"{path}: not a readable HDF5 file ({error}); is it truncated or damaged? Make or copy "
            "it again"
        ) from error


class _UpToAnError(io.RawIOBase):
    """A file that notes the first error of the system and from then on only seems to be written.

    HDF5 crashes the process where it cannot write what it still holds when a file is closed.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        with self._noting_errors():
            while left and self.error is None:
                left = left[self._stream.write(left) :]
        return size

    def truncate(self, size: int | None = None) -> int:
        end = self._stream.tell() if size is None else size
        with self._noting_errors():
            self._stream.truncate(end)
        return end

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(buffer)

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error


@contextlib.contextmanager
def open_for_writing(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Make a new HDF5 file to write to; ``options`` are those of ``h5py.File``.

    Raises:
        OSError: the system refused to write (no space, a quota), in its own words; it is raised
            when the block ends, and what lies at ``path`` then is no HDF5 file.
    """
    with open(path, "w+b", buffering=0) as stream:
        target = _UpToAnError(stream)
        with h5py.File(target, "w", **options) as file:
            yield file
        if target.error is not None:
            raise target.error


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
        raise UsageError(f"{filename}: the data of {name!r} are in another file; refused")
    return node


def get_contiguous_dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return the dataset ``name`` if its data lie in this file in one piece, as ``get_dataset``.

    Reading it then takes no more memory than the file has bytes, whatever it claims; one of chunks,
    which may be compressed, can claim anything.
    """
    dataset = get_dataset(group, name)
    filename = group.file.filename
    is_contiguous = dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
    if is_contiguous and dataset.nbytes:
        offset = dataset.id.get_offset()  # None where it was never written
        is_contiguous = (
            offset is not None and offset + dataset.nbytes <= Path(filename).stat().st_size
        )
    if not is_contiguous:
        raise UsageError(
            f"{filename}: {name!r} is not stored in one piece; damaged? Make or copy it again"
        )
    return dataset


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
