"""The photos that a command line names before OUT: one, several, or a folder of them."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.photo_places import is_source

_SHOWN = 3  # photos of a command that is shown


@dataclass(frozen=True)
class Inputs:
    """What a program works on.

    Attributes:
        images: a photo, or a folder, pack or tar file; of several photos the folder that all of
            them lie in or below.
        names: the paths of several photos relative to ``images``; ``None``: there is one thing.
    """

    images: Path
    names: tuple[str, ...] | None = None


def inputs_of(words: Sequence[str], out: str | None, command: str) -> Inputs:
    """Return what ``words`` name, unless OUT is a photo: a shell's ``*.jpg`` ends with one.

    Args:
        words: one path, or those of several photos.
        out: the last word of the command line, if there is one behind them. It is no file that is
            there; for several photos it is a folder, there or with a slash at its end.
        command: what to type for several photos, with ``{}`` in their place.

    Raises:
        UsageError: OUT is something else; several are no photos, or OUT holds them.
    """
    images = Path(words[0])
    is_photo = len(words) > 1 or (images.is_file() and not is_source(images))
    is_there = out is not None and os.path.lexists(out) and not Path(out).is_dir()
    if out is not None and is_photo and (is_there or (len(words) > 1 and not _is_folder(out))):
        photos = shlex.join([*words, out][:_SHOWN]) + (" …" if len(words) >= _SHOWN else "")
        found = "is a file that is there, and OUT replaces none" if is_there else "is no folder"
        raise UsageError(
            f"{out}: {found}; name another, or a folder. Several photos need a folder behind them, "
            f"one that is there or a name that ends with /:\n  {command.format(photos)}"
        )
    if out is None or len(words) == 1:
        return Inputs(images)
    return _several(list(map(Path, words)), Path(out))


def _is_folder(out: str) -> bool:
    return Path(out).is_dir() or out.endswith("/")


def _several(photos: Sequence[Path], out: Path) -> Inputs:
    for photo in photos:
        if not photo.is_file() or is_source(photo):
            found = "no photo" if photo.exists() else "no such file"
            raise UsageError(f"{photo}: {found}; expected several photos, or one folder alone")
    # Photos keep their names, be they links; links to folders are followed, as .. may come behind.
    paths = list(dict.fromkeys(photo.parent.resolve() / photo.name for photo in photos))
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    for name, path in zip(names, paths, strict=True):
        if (out / name).exists() and (out / name).samefile(path):
            raise UsageError(f"{out}: the photos lie there; name another folder for the results")
    return Inputs(folder, names)
