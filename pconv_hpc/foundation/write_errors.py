"""A result that cannot be written: by its own fault, or because nothing can be written there."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError

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
