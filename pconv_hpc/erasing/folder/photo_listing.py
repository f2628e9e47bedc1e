"""Which photos there are: files of a folder with its subfolders, or members of tar files."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES
from pconv_hpc.photos.sources.named_photos import refuse_unmatched, same_letters
from pconv_hpc.photos.sources.passed_over import (
    HIDDEN,
    LINKED_FOLDERS,
    SPECIAL_FILES,
    kind_of,
    no_photos,
)
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.tar_files import list_photos
from pconv_hpc.segmentation.choices import read_choices
from pconv_hpc.segmentation.selection import Selection

_TAR_SUFFIX = ".tar"


def list_work(
    images: Path,
    left_out: Path,
    choices: Path | None = None,
    passed_over: Counter[str] | None = None,
) -> Iterator[PhotoRow]:
    """Yield the photos to work on, in no order; each that a table of choices names must be there.

    Args:
        images: a folder of photos or of tar files, or a tar file.
        left_out: a folder that is left out, and so are hidden files and folders.
        choices: the table; ``None``: there is none.
        passed_over: is told how many other files there are, by kind.

    Raises:
        UsageError: there are no photos, photos lie beside tar files, something cannot be read, or
            the table names photos that are not among them.
    """
    root = images.parent if images.is_file() else images
    table = read_choices(choices, Selection(), root) if choices else None
    missing = {same_letters(name): name for name in table.lines} if table else {}
    others = Counter[str]() if passed_over is None else passed_over
    for row in _list_all(images, left_out, others):
        if choices and row.tar and table:  # it is unpacked elsewhere, so absolute paths are no use
            table = read_choices(choices, Selection(), None)
        missing.pop(same_letters(row.photo), None)
        yield row
    if table:
        unmatched = {name: table.lines[name] for name in missing.values()}
        there = (row.photo for row in _list_all(images, left_out, Counter()))
        refuse_unmatched(table.path, unmatched, root, there)


def _list_all(images: Path, left_out: Path, others: Counter[str]) -> Iterator[PhotoRow]:
    """Yield the photos of a folder, or of the tar files of a folder, or of one.

    Links to folders are not followed. A link to nothing is a photo: it is somebody's photo that
    cannot be read.
    """
    if images.is_file() and images.name.lower().endswith(_TAR_SUFFIX):
        tars, root, num_photos = [images.name], images.parent, 0
    elif images.is_dir():
        tars, root, num_photos = [], images, 0
        for row in _walk(images, left_out, tars, others):
            num_photos += 1
            yield row
    else:
        raise UsageError(f"{images}: no such folder; expected a folder of photos or of tar files")
    if tars and num_photos:
        raise UsageError(
            f"{images}: holds both photos and tar files ({min(tars)}); expected only one kind"
        )
    for tar in tars:
        for key, num_bytes in list_photos(root / tar, others).items():
            num_photos += 1
            yield PhotoRow(f"{tar}/{key}", num_bytes, tar)
    if not num_photos:
        raise no_photos(images, others)


def _walk(
    folder: Path, left_out: Path, tars: list[str], others: Counter[str]
) -> Iterator[PhotoRow]:
    """Yield the photos of a folder; append the paths of its tar files to ``tars``."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(folder / prefix) as entries:
                for entry in entries:
                    name = f"{prefix}{entry.name}"
                    if entry.name.startswith("."):
                        others[HIDDEN] += 1
                    elif entry.is_dir(follow_symlinks=False):
                        if not _is_same(entry, left_out):
                            waiting.append(f"{name}/")
                    elif entry.name.lower().endswith(PHOTO_SUFFIXES) and _is_file(entry):
                        yield PhotoRow(name, _size(entry))
                    elif entry.name.lower().endswith(_TAR_SUFFIX) and entry.is_file():
                        tars.append(name)
                    elif Path(entry.path).is_dir():
                        others[LINKED_FOLDERS] += 1
                    elif entry.name.lower().endswith(PHOTO_SUFFIXES):
                        others[SPECIAL_FILES] += 1
                    else:
                        others[kind_of(entry.name)] += 1
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be listed ({error.strerror})") from error


def _is_same(entry: os.DirEntry[str], folder: Path) -> bool:
    return folder.exists() and folder.samefile(entry.path)


def _is_file(entry: os.DirEntry[str]) -> bool:
    # Whoever opens a pipe or a device waits for ever. A link may lead nowhere, but not to a folder.
    return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0
