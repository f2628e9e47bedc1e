"""Room and permission to write, checked in time and reported in words."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError, UsageError

# What every photo after this one would meet, too.
_NO_USE_TO_GO_ON = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
    }
)


class OutputError(UsageError):
    """Results cannot be written where they are to go: no photo is to blame, and none goes on."""


def require_free_space(folder: Path, num_bytes: int) -> None:
    """Raise ``PconvError`` if ``num_bytes`` and a hundredth do not fit on ``folder``'s disk.

    A quota is not seen here: no two file systems report it alike.
    """
    free = shutil.disk_usage(folder).free
    needed = num_bytes + num_bytes // 100
    if free < needed:
        raise PconvError(
            f"{folder}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free; make room, "
            "choose another folder, or pack less (--fraction, --size)"
        )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` while ``path`` is written into a ``PconvError`` that says what to do."""
    try:
        yield
    except OSError as error:
        raise PconvError(
            f"{path}: cannot be written ({error.strerror or error}); check your permission, the "
            "free space and your quota. What is finished is kept: run the same command again"
        ) from error


@contextlib.contextmanager
def writing_results(path: Path) -> Iterator[None]:
    """Turn a full disk, or a lost right to write, into an ``OutputError``; ``path`` is written.

    Other errors pass: a name that is too long for a result is that photo's failure alone.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_USE_TO_GO_ON:
            raise
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check the free space, your quota and "
            "your permission. What is finished is kept: then run the same command again"
        ) from error
