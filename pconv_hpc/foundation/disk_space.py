"""Room and permission to write, checked in time and reported in words."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError


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
