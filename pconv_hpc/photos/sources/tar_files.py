"""Tar files of photos in WebDataset's layout: list them, unpack one, write one anew.

Only regular files of safe names are listed and unpacked (``photos/sources/tar_members.py``):
nothing is written outside the folder it belongs to.
"""

import contextlib
import copy
import shutil
import tarfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.disk_space import writing, writing_results
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES
from pconv_hpc.photos.sources.passed_over import HIDDEN, kind_of
from pconv_hpc.photos.sources.tar_members import regular_files, telling_damage

# Fields of extended headers that describe the old content.
_STALE_HEADERS = ("size", "path", "GNU.sparse.size", "GNU.sparse.realsize")


def list_photos(path: Path, passed_over: Counter[str]) -> dict[str, int]:
    """Return the photos in a tar file: name → size in bytes. Of equal names the last one counts.

    Hidden files are left out. ``passed_over`` is told how many members are no photos, by kind.

    Raises:
        UsageError: it is damaged, compressed, or no tar file.
    """
    photos = {}
    with _open(path) as tar:
        for key, member in _files(path, tar, passed_over):
            if any(part.startswith(".") for part in key.split("/")):
                passed_over[HIDDEN] += 1
            elif key.lower().endswith(PHOTO_SUFFIXES):
                photos[key] = member.size
            else:
                passed_over[kind_of(key)] += 1
    return photos


def unpack(path: Path, keys: Collection[str], folder: Path) -> None:
    """Write some files of a tar file into a folder; those that are there are left as they are.

    Raises:
        UsageError: the tar file is damaged, or lacks one of them.
        OutputError: the disk is full, or nothing may be written there.
        PconvError: they cannot be written for another reason.
    """
    missing = {key for key in keys if not (folder / key).exists()}
    if not missing:
        return
    with _open(path) as tar, writing(folder), writing_results(folder):
        places = {key: member for key, member in _files(path, tar) if key in missing}
        for key, member in places.items():
            with _content(path, tar, member) as content, _whole(folder / key) as target:
                shutil.copyfileobj(content, target)
    if lost := sorted(missing - places.keys()):
        raise UsageError(f"{path}: {lost[0]} is gone from it, and {len(lost) - 1} others")


def write_anew(path: Path, base: Path | None, files: Mapping[str, Path]) -> None:
    """Write a tar file with the members of ``base`` in their order, some replaced by files.

    Files that are not in ``base`` come last, sorted. Links, devices and members of unsafe names are
    left out. ``base`` may be ``path`` itself.

    Raises:
        UsageError: ``base`` is damaged.
        OutputError: the disk is full, or nothing may be written there.
        PconvError: it cannot be written for another reason.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(writing(path))
        stack.enter_context(writing_results(path))
        temporary = stack.enter_context(atomic_path(path))
        output = stack.enter_context(tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT))
        rest = dict(files)
        if base is not None:
            tar = stack.enter_context(_open(base))
            for key, member in _files(base, tar):
                rest.pop(key, None)
                if key in files:
                    _add(output, files[key], member)
                else:
                    with _content(base, tar, member) as content:
                        output.addfile(_clean(member), content)
        for key in sorted(rest):
            _add(output, rest[key], tarfile.TarInfo(key))


def _add(output: tarfile.TarFile, path: Path, like: tarfile.TarInfo) -> None:
    member = _clean(like)
    with open(path, "rb") as content:
        member.size = path.stat().st_size
        member.mtime = path.stat().st_mtime
        output.addfile(member, content)


def _clean(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member = copy.copy(member)
    headers = member.pax_headers.items()
    member.pax_headers = {key: value for key, value in headers if key not in _STALE_HEADERS}
    return member


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tarfile.TarFile]:
    with contextlib.ExitStack() as stack:
        with telling_damage(path):
            tar = stack.enter_context(tarfile.open(path, "r:"))
        yield tar


def _files(
    path: Path, tar: tarfile.TarFile, passed_over: Counter[str] | None = None
) -> Iterator[tuple[str, tarfile.TarInfo]]:
    ignored = Counter[str]() if passed_over is None else passed_over
    return regular_files(path, tar, end=path.stat().st_size, ignored=ignored)


class _Content:
    """A member that is read; where that fails it is the tar file's fault and not the target's."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        with telling_damage(self._path):
            return self._stream.read(size)


@contextlib.contextmanager
def _content(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[_Content]:
    stream = tar.extractfile(member)
    assert stream is not None  # it is a regular file
    with stream:
        yield _Content(path, stream)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream
