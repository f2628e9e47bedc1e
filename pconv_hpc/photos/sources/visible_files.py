"""The files that a person sees in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError


def visible_files(folder: Path, left_out: Path) -> Iterator[str]:
    """Yield the relative paths of a folder's files, sorted, with ``/``; links are not followed.

    Hidden files and folders are left out, and so is the folder ``left_out``, where there is one.

    Raises:
        UsageError: a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    def is_seen(root: str, name: str) -> bool:
        path = Path(root, name)
        return not name.startswith(".") and not (left_out.exists() and path.samefile(left_out))

    for root, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if is_seen(root, name))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name).relative_to(folder).as_posix()
