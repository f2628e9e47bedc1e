"""The manifest fixes the work on a folder once: which photos, in which slices, with which settings.

``OUT/photos.jsonl`` has a line for each photo, sorted by path; ``OUT/manifest.json``, written last,
cuts it into slices and holds the settings. Both are made and read as streams, so that memory does
not grow with the folder.
"""

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder.photo_listing import list_work
from pconv_hpc.erasing.folder.slice_cutting import SliceCutting
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.atomic import atomic_path, remove_unfinished, write_json
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import UsageError, require
from pconv_hpc.foundation.json_files import read_json
from pconv_hpc.foundation.typed_values import build, to_mapping
from pconv_hpc.photos.sources.sorted_listing import (
    CHUNK_ROWS,
    PhotoRow,
    SortedRows,
    remove_leftovers,
)

MANIFEST_NAME = "manifest.json"
PHOTOS_NAME = "photos.jsonl"
_FORMAT, _VERSION = "pconv_hpc erase manifest", 2
_KIND = "the manifest of an OUT folder of pconv-hpc erase, or of jobs/erase_array.sbatch"
# What a photo costs beside its bytes, so that many tiny ones do not end up in one slice.
_BYTES_EACH = 64 << 10
_MAX_WAIT_S = 15.0

Inputs = Literal["folder", "tar"]


@dataclass(frozen=True)
class Slice:
    """A part of ``photos.jsonl``.

    Attributes:
        first: number of its first row, from 0.
        num_photos: how many rows.
        offset: where the first row begins, in bytes.
        num_bytes: the size of all its photos.
    """

    first: int
    num_photos: int
    offset: int
    num_bytes: int

    def __post_init__(self) -> None:
        _require_counts(self.first, self.num_photos, self.offset, self.num_bytes)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The work on a folder; ``build_manifest`` and ``read_manifest`` return it.

    All but ``out`` are the keys of ``manifest.json``.

    Attributes:
        images: the folder of the photos, or of tar files, or one tar file; absolute.
        out: the folder of the results, absolute.
        inputs: whether ``images`` holds photos or tar files of photos.
        num_photos: how many.
        num_bytes: the size of all.
        slices: task k of an array works on slice k.
        settings: what is done to each photo.
    """

    images: Path
    out: Path
    inputs: Inputs
    num_photos: int
    num_bytes: int
    slices: tuple[Slice, ...]
    settings: EraseSettings

    def __post_init__(self) -> None:
        _require_counts(self.num_photos, self.num_bytes)

    @property
    def num_slices(self) -> int:
        """How many slices there are."""
        return len(self.slices)

    @property
    def num_units(self) -> int:
        """How many slices there could be: of a folder of tar files, as many as there are of them.

        Raises:
            UsageError: ``photos.jsonl`` cannot be read.
        """
        if self.inputs == "folder":
            return self.num_photos
        return len({row.tar for number in range(self.num_slices) for row in self.photos(number)})

    @property
    def root(self) -> Path:
        """The folder that the photos' paths, or those of their tar files, are relative to."""
        return self.images.parent if self.images.is_file() else self.images

    @property
    def found(self) -> Path:
        """The folder of masks and instances."""
        return self.out / "found"

    @property
    def erased(self) -> Path:
        """The folder of the erased photos."""
        return self.out / "erased"

    def slice_dir(self, number: int) -> Path:
        """Return the folder of a slice's ledger, lock and log."""
        return self.out / "slices" / f"{number:05d}"

    def photos(self, number: int) -> Iterator[PhotoRow]:
        """Yield the photos of a slice, in order.

        Raises:
            UsageError: ``photos.jsonl`` is not the one that this manifest was written with.
        """
        path = self.out / PHOTOS_NAME
        part = self.slices[number]
        try:
            with open(path, "rb") as stream:
                stream.seek(part.offset)
                for row in range(part.first, part.first + part.num_photos):
                    yield _parse_row(path, row, stream.readline())
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); {_AGAIN}") from error


_AGAIN = "choose another OUT"


def _require_counts(*counts: int) -> None:
    require(min(counts) >= 0, f"{min(counts)} photos or bytes; expected at least 0")


def _parse_row(path: Path, row: int, line: bytes) -> PhotoRow:
    try:
        photo = PhotoRow.from_json(line)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: row {row} is damaged ({error}); {_AGAIN}") from error
    relative = PurePosixPath(photo.photo)
    if relative.is_absolute() or ".." in relative.parts:
        raise UsageError(f"{path}: row {row}: {photo.photo!r} points outside the folder; {_AGAIN}")
    return photo


def build_manifest(
    images: Path,
    out: Path,
    *,
    num_slices: int,
    settings: EraseSettings,
    chunk_rows: int = CHUNK_ROWS,
    environment: Mapping[str, str] = os.environ,
    record: bool = True,
    passed_over: Counter[str] | None = None,
) -> Manifest:
    """List the photos of a folder and cut the list into slices; do it once.

    Of several processes that come at the same time one makes the manifest and the others wait. One
    that is there is used as it is: photos that were added since are not in it. Only
    the resource options of the settings replace those that it records.

    Args:
        images: folder of photos, or of tar files of photos, with all its subfolders; or a tar file.
        out: folder of the results; photos in it are left out.
        num_slices: contiguous parts of about the same size in bytes, none of which divides a tar
            file; the last ones are empty where there are fewer photos or tar files.
        settings: what is done to each photo.
        chunk_rows: so many rows are in memory at once.
        environment: tells which Slurm job this process belongs to.
        record: whether resource options other than those recorded are for later tasks, too.
        passed_over: where the photos are listed, is told how many other files there are, by kind.

    Raises:
        UsageError: there are no photos, the table of choices names others, or the manifest that is
            there is one of other work.
        OutputError: it cannot be written.
    """
    images, out = images.absolute(), out.absolute()
    if not images.exists():
        raise UsageError(f"{images}: no such folder; expected a folder of photos or of tar files")
    require_own_folder(out, images)
    if num_slices < 1:
        raise UsageError(f"{num_slices} slices; expected at least 1")
    with writing_results(out):
        _write_once(
            lambda: _write(images, out, num_slices, settings, chunk_rows, passed_over),
            out,
            environment,
        )
    manifest = read_manifest(out)
    require_same(manifest, images, num_slices, settings)
    if settings == manifest.settings:
        return manifest
    manifest = replace(manifest, settings=settings)
    if record:
        with writing_results(out):
            _save(manifest)
    return manifest


def require_own_folder(out: Path, images: Path) -> None:
    """Raise ``UsageError`` where ``out`` (absolute) is no folder for results nor can become one."""
    there = next(path for path in (out, *out.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise UsageError(f"{there}: not a folder; the results need a folder of their own")
    if there == out and out.samefile(images):
        raise UsageError(f"{out}: holds the photos; the results need a folder of their own")


def _write_once(write: Callable[[], None], out: Path, environment: Mapping[str, str]) -> None:
    """Write the manifest, or wait until another process has written it."""
    wait_s, told = 0.5, False
    while not (out / MANIFEST_NAME).exists():
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(FolderLock(out, environment))
            except UsageError as error:
                if not told:
                    print(f"waiting for the list of photos: {error}", file=sys.stderr, flush=True)
                told = True
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _MAX_WAIT_S)
                continue
            if not (out / MANIFEST_NAME).exists():
                remove_leftovers(out)
                remove_unfinished([out / PHOTOS_NAME, out / MANIFEST_NAME])
                write()


def _write(
    images: Path,
    out: Path,
    num_slices: int,
    settings: EraseSettings,
    chunk_rows: int,
    passed_over: Counter[str] | None,
) -> None:
    tars = Counter[str]()
    photos = list_work(images, out, settings.segment.choices, passed_over)
    with SortedRows(_weighed(photos, tars), out, chunk_rows=chunk_rows) as rows:
        inputs: Inputs = "folder" if next(iter(rows)).tar is None else "tar"
        if inputs == "tar" and settings.empty == "skip":
            raise UsageError(
                f"{images}: tar files keep all their members, so photos with nothing to erase "
                "cannot be left out; use --empty copy"
            )
        with atomic_path(out / PHOTOS_NAME) as temporary:
            slices = _write_rows(rows, temporary, num_slices, tars)
    manifest = Manifest(
        images=images,
        out=out,
        inputs=inputs,
        num_photos=rows.num_rows,
        num_bytes=rows.num_bytes,
        slices=tuple(slices),
        settings=settings,
    )
    _save(manifest)


def _save(manifest: Manifest) -> None:
    value = to_mapping(manifest)
    del value["out"]  # the folder may be moved, or mounted elsewhere
    value = {"format": _FORMAT, "version": _VERSION, **value}
    write_json(manifest.out / MANIFEST_NAME, value)


def _write_rows(
    rows: SortedRows, path: Path, num_slices: int, tars: Mapping[str, int]
) -> list[Slice]:
    """Write the rows, and return the slices that their weights make."""
    total = rows.num_bytes + rows.num_rows * _BYTES_EACH
    cutting = SliceCutting(num_slices, len(tars) or rows.num_rows, total)
    offset = 0
    parts: list[list[int]] = []  # the fields of slices, growing
    tar: str | None = None
    with open(path, "w", encoding="ascii") as stream:
        for number, row in enumerate(rows):
            if row.tar is None or row.tar != tar:
                tar = row.tar
                if cutting.begins(_weight(row) if tar is None else tars[tar]):
                    parts.append([number, 0, offset, 0])
            line = f"{row.to_json()}\n"
            stream.write(line)
            offset += len(line)
            parts[-1][1] += 1
            parts[-1][3] += row.num_bytes
    parts += [[rows.num_rows, 0, offset, 0]] * (num_slices - len(parts))
    return [Slice(*part) for part in parts]


def _weight(row: PhotoRow) -> int:
    return row.num_bytes + _BYTES_EACH


def _weighed(photos: Iterable[PhotoRow], tars: Counter[str]) -> Iterator[PhotoRow]:
    """Yield the photos, and add up the weight of each tar file."""
    for row in photos:
        if row.tar is not None:
            tars[row.tar] += _weight(row)
        yield row


def read_manifest(out: Path) -> Manifest:
    """Read the manifest of a folder of results.

    Raises:
        UsageError: there is none, or it cannot be used.
    """
    path = out.absolute() / MANIFEST_NAME
    value = read_json(path, dict[str, Any], kind=_KIND)
    found = value.pop("format", None), value.pop("version", None)
    if found == (_FORMAT, 1):
        raise UsageError(
            f"{path}: written by an earlier version of pconv_hpc (manifest version 1, expected "
            f"{_VERSION}); finish this folder with that version, or choose another OUT"
        )
    try:
        require(found == (_FORMAT, _VERSION), f"expected format {_FORMAT}, version {_VERSION}")
        return build(Manifest, value | {"out": str(path.parent)}, "it", prefix="")
    except UsageError as error:
        raise UsageError(f"{path}: not {_KIND}: {error}") from error


def require_same(
    manifest: Manifest, images: Path, num_slices: int, settings: EraseSettings
) -> None:
    """Raise ``UsageError`` naming each difference between the recorded work and the given one.

    The resource options may differ.
    """
    differences = [
        *(("images", manifest.images, images), ("slices", manifest.num_slices, num_slices)),
        *manifest.settings.differences(settings),
    ]
    changed = [f"{name}: {was}, now {now}" for name, was, now in differences if was != now]
    if changed:
        listed = "\n  ".join(changed)
        raise UsageError(
            f"{manifest.out / MANIFEST_NAME} records other work:\n  {listed}\n"
            "Pass the recorded options to continue that work, or choose another OUT for this one"
        )
