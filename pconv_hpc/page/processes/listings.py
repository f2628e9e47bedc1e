"""The photos of a folder as they are found: the first are there at once, however many follow."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES
from pconv_hpc.photos.sources.visible_files import visible_files

_WAIT_S = 60.0
_NOWHERE = ".no-such-folder"


class Listing:
    """The relative paths of the photos in a folder, sorted folder by folder, listed on a thread.

    Args:
        folder: with all its subfolders; hidden ones are left out.
        left_out: another folder that is left out; ``None``: there is none.
    """

    def __init__(self, folder: Path, left_out: Path | None) -> None:
        self._names: list[str] = []
        self._is_whole = False
        self._error: PconvError | None = None
        self._changed = threading.Condition()
        thread = threading.Thread(target=self._list, args=(folder, left_out), daemon=True)
        thread.start()

    def _list(self, folder: Path, left_out: Path | None) -> None:
        try:
            others = Counter[str]()
            apart = left_out or folder / _NOWHERE
            for name in visible_files(folder, apart, PHOTO_SUFFIXES, others):
                self._names.append(name)
                if len(self._names) % 100 == 0:
                    self._tell()
        except PconvError as error:
            self._error = error
        self._is_whole = True
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def part(self, first: int, count: int) -> dict[str, Any]:
        """Return the names from ``first`` on, how many are known, and whether those are all.

        Raises:
            PconvError: the folder cannot be listed.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_whole or len(self._names) >= first + count, timeout=_WAIT_S
            )
        if self._error is not None:
            raise self._error
        names = self._names[first : first + count]
        return {"names": names, "total": len(self._names), "is_whole": self._is_whole}
