"""Photos that a list or a table names, and those that are really there."""

import difflib
import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES
from pconv_hpc.photos.sources.list_files import read_lines
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.visible_files import visible_files

_SHOWN = 5  # rows of a list that match nothing
_MAX_COMPARED = 20_000  # names among which the nearest is sought


def same_letters(name: str) -> str:
    """Return what is equal for names that look alike: an accent is a letter's or one of its own."""
    return unicodedata.normalize("NFC", name)


def relative_name(name: str, folder: Path | None) -> str:
    """Return a photo's path as listings have it, of one that a person wrote.

    Args:
        name: relative to ``folder``, also with ``./`` or doubled slashes, or absolute and in it.
        folder: the folder, or the tar file's; ``None``: absolute paths are refused.

    Raises:
        UsageError: it leads out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() and folder is not None:
        for root in (folder.absolute(), folder.resolve()):
            if path.is_relative_to(root):
                path = path.relative_to(root)
                break
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UsageError(
            f"{printable(name)!r} leads out of {folder or 'the folder'}; expected a path relative "
            "to it"
        )
    return str(path)


def read_list(path: Path, folder: Path) -> list[str]:
    """Return the relative paths of the photos that a list names, each once, in its order.

    Args:
        path: one path on each line; or, if it ends in ``.jsonl``, rows like those of a manifest's
            ``photos.jsonl``, in which every name fits. Programs write those: they are taken as they
            are, and a photo that is gone meanwhile fails alone.
        folder: what the paths are relative to.

    Raises:
        UsageError: it cannot be read, is empty, a path leads out of ``folder``, or a line names no
            photo that is there.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder, and a list of photos needs one")
    names: dict[str, None] = {}
    unmatched: dict[str, int] = {}
    on_disk = OnDisk(folder)
    for number, line in read_lines(path):
        try:
            if path.suffix == ".jsonl":
                names[relative_name(PhotoRow.from_json(line).photo, folder)] = None
                continue
            written = (relative_name(text, folder) for text in (line, line.strip()))
            found = next(filter(None, map(on_disk.find, written)), None)
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: not a list of paths ({error})") from error
        if found is None:
            unmatched[relative_name(line.strip(), folder)] = number
        else:
            names[found] = None
    refuse_unmatched(path, unmatched, folder, on_disk.photos())
    if not names:
        raise UsageError(f"{path}: names no photos")
    return list(names)


class OnDisk:
    """Looks names up in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[str, dict[str, str]] = {}  # of each folder, by what looks alike

    def find(self, name: str) -> str | None:
        """Return the path of the file that is meant, as the disk spells it; ``None``: no file."""
        if os.path.lexists(self._folder / name):
            return None if (self._folder / name).is_dir() else name
        found = PurePosixPath()
        for part in PurePosixPath(name).parts:
            spelled = self._names_in(str(found)).get(same_letters(part))
            if spelled is None:
                return None
            found /= spelled
        return None if (self._folder / found).is_dir() else str(found)

    def photos(self) -> Iterable[str]:
        """Yield the paths of the folder's photos."""
        return visible_files(self._folder, None, PHOTO_SUFFIXES, Counter())

    def _names_in(self, folder: str) -> dict[str, str]:
        if folder not in self._entries:
            try:
                names = [path.name for path in (self._folder / folder).iterdir()]
            except OSError:
                names = []
            self._entries[folder] = {same_letters(name): name for name in names}
        return self._entries[folder]


def refuse_unmatched(
    path: Path, unmatched: Mapping[str, int], folder: Path, photos: Iterable[str]
) -> None:
    """Raise ``UsageError`` if there are names that match no photo.

    Args:
        path: the list or table.
        unmatched: the lines of such names.
        folder: where the photos are.
        photos: what there is; looked at for what may be meant, where there are such names.
    """
    if not unmatched:
        return
    known = list(itertools.islice(photos, _MAX_COMPARED))
    rows = [
        f"{path}, line {number}: no photo {printable(name)} in {folder}{_nearest(name, known)}"
        for name, number in itertools.islice(unmatched.items(), _SHOWN)
    ]
    if len(unmatched) > _SHOWN:
        rows.append(f"and {len(unmatched) - _SHOWN} more")
    raise UsageError("\n".join(rows))


def _nearest(name: str, known: list[str]) -> str:
    own_name = same_letters(PurePosixPath(name).name)
    elsewhere = [k for k in known if same_letters(PurePosixPath(k).name) == own_name]
    folded = {same_letters(k).casefold(): k for k in known}
    close = difflib.get_close_matches(same_letters(name).casefold(), folded, n=1)
    found = elsewhere[:1] or [folded[match] for match in close]
    return f"; the nearest is {printable(found[0])}" if found else ""
