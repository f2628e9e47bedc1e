"""Files written and read whole: they appear whole or not at all, also on Lustre, GPFS and NFS."""

import contextlib
import csv
import hashlib
import io
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import MAX_NAME_BYTES, short_name

_HASH_BLOCK_BYTES = 1 << 22
_MAX_HOST_BYTES = 64
_MAX_STEM_BYTES = MAX_NAME_BYTES - _MAX_HOST_BYTES - 20  # dots, a process's number, tmp


def read_small(path: Path, max_bytes: int, kind: str) -> bytes:
    """Return the content of a file that is not expected to be large.

    Args:
        path: the file.
        max_bytes: its largest size; it is never read further.
        kind: what is expected, for errors, such as "an index of shards".

    Raises:
        UsageError: it is larger, or cannot be read; ``__cause__`` is then the ``OSError``.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); expected {kind}") from error
    if len(content) > max_bytes:
        raise UsageError(f"{path}: larger than {max_bytes >> 20} MiB; expected {kind}")
    return content


def temporary_path(path: Path) -> Path:
    """Return the name ``path`` is written under until it is whole.

    The name begins with a dot, stays in the same folder (a rename never crosses file systems) and
    is unique to this process, so two writers never share one. However long the names of the file
    and of this machine are, it is one that the file system allows.
    """
    host = short_name(socket.gethostname().replace("/", "_"), _MAX_HOST_BYTES)
    return path.with_name(f"{_beginning(path.name)}{host}.{os.getpid()}.tmp")


def _beginning(name: str) -> str:
    """Return what the temporary names of a file begin with, on every machine."""
    return f".{short_name(name, _MAX_STEM_BYTES)}."


def fsync_path(path: Path) -> None:
    """Flush a file or a folder to stable storage; folders where the file system allows it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network file systems refuse fsync on folders
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to ``path`` when the block succeeds.

    With ``durable`` the file and the rename are fsynced, so that what exists after a power cut is
    either the old file or the whole new one. On any exception the temporary file is removed and
    ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        yield temporary
        if durable:
            fsync_path(temporary)
        os.replace(temporary, path)
        if durable:
            fsync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove what killed processes left under temporary names of these files.

    ``a.jpg`` stands for ``a.jpg.png`` as well, if it is not too long. Nobody may be writing any of
    them.
    """
    names: dict[Path, list[str]] = {}
    for path in paths:
        names.setdefault(path.parent, []).append(_beginning(path.name))
    for folder, beginnings in names.items():
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".tmp") and entry.name.startswith(tuple(beginnings)):
                    Path(entry.path).unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` atomically."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, text.encode(), durable=durable)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write ``value`` to ``path`` atomically, as indented JSON in the order it is given."""
    write_text(path, json.dumps(value, indent=2) + "\n", durable=durable)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table with ``\\n`` line ends to ``path`` atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
