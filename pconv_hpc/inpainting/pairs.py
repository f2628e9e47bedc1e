"""Which mask belongs to which photo, and where the result goes: by relative paths and names."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.inpainting.photo_task import Job
from pconv_hpc.photos.formats.photo_files import PHOTO_SUFFIXES, READ_SUFFIXES
from pconv_hpc.photos.result_path import result_path
from pconv_hpc.photos.sources.visible_files import visible_files

_MASK_ENDING = "_mask"


@dataclass(frozen=True)
class Pairing:
    """The work that a person's three arguments describe.

    Attributes:
        jobs: one for each photo that has a mask, in the order of their paths.
        without_mask: photos that have none.
        without_photo: masks that belong to no photo.
        passed_over: for a folder, how many files in it are neither, by kind.
    """

    jobs: list[Job]
    without_mask: list[Path]
    without_photo: list[Path]
    passed_over: dict[Path, Counter[str]] = field(default_factory=dict)


def pair_files(images: Path, masks: Path, out: Path, only: Sequence[str] | None = None) -> Pairing:
    """Pair photos with masks.

    ``a/photo.jpg`` in the folder ``images`` belongs to ``a/photo.jpg.png``, ``a/photo.png`` (any
    suffix) or ``a/photo_mask.png`` in ``masks``, the first of these that is there; its result is
    ``a/photo.jpg`` in ``out``. Hidden files are left out. Both may also be a single file; then
    ``out`` is a file name with the photo's suffix, or a folder.

    That no photo has a mask is an error, unless ``pconv-hpc segment`` has looked for objects in one
    of them and written what it found beside ``masks``: then nothing was selected.

    ``only`` restricts a folder to these photos, by relative path. That none of them has a mask is
    no error then, and masks of other photos are not mentioned. Only folders in which masks of these
    photos may be are looked at, and ``a/photo.jpg.png`` is taken where it is.

    Raises:
        UsageError: something is missing, ambiguous or would overwrite its own input.
    """
    if images.is_file() and not masks.exists() and _has_nothing_selected(masks):
        return Pairing([], [images], [])
    for path in (images, masks):
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    if images.is_file() != masks.is_file():
        raise UsageError(f"{images} and {masks}: expected two files or two folders")
    if images.is_file():
        output = result_path(images, out)
        _refuse_same(output, images, masks)
        return Pairing([Job(images, masks, output)], [], [])
    if out.is_file():
        raise UsageError(f"{out}: is a file; expected a folder, as {images} is one")
    _refuse_same(out, images, masks)
    return _pair_folders(images, masks, out, only)


def _pair_folders(images: Path, masks: Path, out: Path, only: Sequence[str] | None) -> Pairing:
    if only is not None:
        return _pair_list(images, masks, out, only)
    passed_over = {images: Counter[str](), masks: Counter[str]()}
    photos = [Path(p) for p in visible_files(images, out, PHOTO_SUFFIXES, passed_over[images])]
    passed_over[masks].clear()  # they may be one folder
    mask_files = [Path(p) for p in visible_files(masks, out, READ_SUFFIXES, passed_over[masks])]
    if _same(images, masks):  # together in one folder: only the ending tells them apart
        photos = [path for path in photos if not path.stem.endswith(_MASK_ENDING)]
        mask_files = [path for path in mask_files if path.stem.endswith(_MASK_ENDING)]
    by_stem = _by_stem(mask_files)
    jobs, without_mask, used = [], [], set()
    for photo in photos:
        mask = _mask_of(photo, by_stem)
        if mask is None:
            without_mask.append(images / photo)
        else:
            jobs.append(Job(images / photo, masks / mask, out / photo))
            used.add(mask)
    found = (with_ending(masks / "../instances" / photo, ".json") for photo in photos)
    is_of_segment = masks.resolve().name == "masks" and any(path.is_file() for path in found)
    if not jobs and not is_of_segment:
        raise UsageError(
            f"no mask for any of the {len(photos)} photos in {images}; expected masks in {masks} "
            "under the photos' own relative paths, such as a/photo.png or a/photo_mask.png for "
            "a/photo.jpg"
        )
    without_photo = [masks / path for path in mask_files if path not in used]
    return Pairing(jobs, without_mask, without_photo, passed_over)


def _pair_list(images: Path, masks: Path, out: Path, only: Sequence[str]) -> Pairing:
    """Pair some of a folder's photos, without a look at what may be millions of other masks."""
    together = _same(images, masks)
    known: dict[Path, dict[str, list[Path]]] = {}  # of each folder
    jobs, without_mask = [], []
    for photo in map(Path, only):
        if together and photo.stem.endswith(_MASK_ENDING):
            continue
        mask: Path | None = with_ending(photo, ".png")
        if together or not (masks / with_ending(photo, ".png")).is_file():
            if photo.parent not in known:
                known[photo.parent] = _by_stem(_masks_in(masks, photo.parent, together))
            mask = _mask_of(photo, known[photo.parent])
        if mask is None:
            without_mask.append(images / photo)
        else:
            jobs.append(Job(images / photo, masks / mask, out / photo))
    return Pairing(jobs, without_mask, [])


def _masks_in(masks: Path, folder: Path, only_with_ending: bool) -> list[Path]:
    """Return the relative paths of the masks in one folder, not in its subfolders."""
    try:
        names = sorted(entry.name for entry in os.scandir(masks / folder) if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [folder / name for name in names if not name.startswith(".")]
    return [
        path
        for path in paths
        if path.suffix.lower() in READ_SUFFIXES
        and (path.stem.endswith(_MASK_ENDING) or not only_with_ending)
    ]


def _by_stem(mask_files: Sequence[Path]) -> dict[str, list[Path]]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in mask_files:
        by_stem[str(path.with_suffix(""))].append(path)
    return by_stem


def _mask_of(photo: Path, by_stem: dict[str, list[Path]]) -> Path | None:
    stem = str(photo.with_suffix(""))
    name = str(with_ending(photo, ".png").with_suffix(""))  # the photo's, unless it is very long
    for candidate in (name, stem, f"{photo}{_MASK_ENDING}", f"{stem}{_MASK_ENDING}"):
        found = by_stem.get(candidate, [])
        if len(found) > 1:
            names = ", ".join(str(path) for path in found)
            raise UsageError(f"{photo}: several masks could be meant ({names}); keep one of them")
        if found:
            return found[0]
    return None


def _has_nothing_selected(mask: Path) -> bool:
    """Return whether a mask is not there because its photo was segmented without it."""
    folder = next((path for path in mask.parents if path.name == "masks" and path.is_dir()), None)
    if folder is None:
        return False
    photo = mask.relative_to(folder).with_suffix(".json")
    return (folder.parent / "instances" / photo).is_file()


def _refuse_same(output: Path, *inputs: Path) -> None:
    for path in inputs:
        if _same(output, path):
            raise UsageError(f"{output}: is an input; results never overwrite it, name another")


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.samefile(b)
