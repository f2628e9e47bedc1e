"""The files that a person sees in a folder."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.passed_over import HIDDEN, LINKED_FOLDERS, kind_of


def visible_files(
    folder: Path, left_out: Path | None, suffixes: Collection[str], passed_over: Counter[str]
) -> Iterator[str]:
    """Yield the relative paths of a folder's files, sorted, with ``/``; links are not followed.

    Hidden files and folders are left out, and so is the folder ``left_out``, where there is one.

    Args:
        folder: with all its subfolders.
        left_out: a folder in it, of results; ``None``: there is none.
        suffixes: of the files that are wanted, in lower case.
        passed_over: is told how many others there are, by kind.

    Raises:
        UsageError: a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    def is_entered(root: str, name: str) -> bool:
        path = Path(root, name)
        if name.startswith("."):
            passed_over[HIDDEN] += 1
        elif path.is_symlink():
            passed_over[LINKED_FOLDERS] += 1
        else:
            return not (left_out and left_out.exists() and path.samefile(left_out))
        return False

    for root, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if is_entered(root, name))
        for name in sorted(names):
            if name.startswith("."):
                passed_over[HIDDEN] += 1
            elif Path(name).suffix.lower() in suffixes:
                yield Path(root, name).relative_to(folder).as_posix()
            else:
                passed_over[kind_of(name)] += 1
