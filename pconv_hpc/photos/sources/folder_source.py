"""Photos in a folder tree."""

import errno
import os
from collections import Counter
from pathlib import Path

import numpy as np

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.photos.sources.photo_source import PhotoSource, safe_key, why_no_photo


class FolderSource(PhotoSource):
    """Every image file below a folder, links followed, hidden files left out.

    Raises:
        UsageError: the folder cannot be listed.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root)
        self.name = printable(self._root.resolve().name)
        self.ignored = Counter()
        found: dict[str, tuple[str, int]] = {}
        self._list("", frozenset(), found)
        self.keys = sorted(found)
        self._paths = [found[key][0] for key in self.keys]
        self.sizes = np.array([found[key][1] for key in self.keys], dtype=np.int64)

    def read(self, index: int) -> bytes:
        path = self._root / self._paths[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise PconvError(
                f"{path}: cannot be read ({error.strerror}), though it was there when the folder "
                "was listed; run the same command again when it is"
            ) from error

    def _list(
        self,
        relative: str,
        ancestors: frozenset[tuple[int, int]],
        found: dict[str, tuple[str, int]],
    ) -> None:
        folder = self._root / relative
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in ancestors:  # a link to a folder above: following it would never end
                self.ignored["link to a folder above it"] += 1
                return
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = f"{relative}/{entry.name}" if relative else entry.name
                    kind = _kind(entry)
                    if kind == "folder" and not entry.name.startswith("."):
                        self._list(path, ancestors | {identity}, found)
                    elif kind != "file":
                        self.ignored["hidden folder, broken link or special file"] += 1
                    elif (key := safe_key(path)) is None:
                        self.ignored["unsafe name"] += 1
                    elif reason := why_no_photo(key):
                        self.ignored[reason] += 1
                    else:
                        found[key] = (path, entry.stat().st_size)
        except OSError as error:
            raise UsageError(
                f"{error.filename or folder}: cannot be listed ({error.strerror})"
            ) from error


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself leads nowhere, like a broken one
            return "other"
        raise
