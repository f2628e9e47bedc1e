"""One photo's result replaced by another that a person made of it, and accounted for once."""

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.erasing.folder.slice_summary import DONE_NAME, count, read_done, write_done
from pconv_hpc.foundation.atomic import remove_unfinished, write_bytes
from pconv_hpc.foundation.disk_space import writing_results
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.tar_files import write_anew
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances, write_instances

_STAGE = "page"
_SELECTION = "by hand, on the page"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What is to stand in place of a photo's result.

    Attributes:
        result: the file of the erased photo.
        mask: the file of its mask.
        instances: the file of the objects that were found in it; ``None``: nothing was.
        selected: indices of the objects that the mask was made from.
    """

    result: Path
    mask: Path
    instances: Path | None
    selected: tuple[int, ...]


def replace_result(
    manifest: Manifest,
    number: int,
    photo: PhotoRow,
    new: Replacement,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Put a new result in place of a photo's old one, or where there was none, and note that.

    Mask and result each appear whole or not at all, the ledger's row last; the photo counts once,
    as erased, and whoever works on its slice later leaves it alone.

    Args:
        manifest: of the folder.
        number: the slice of the photo.
        photo: the photo.
        new: what is put there.
        environment: tells which Slurm job this process belongs to.

    Raises:
        UsageError: somebody works on the slice, and the photo is not done yet, or in a tar file.
        OutputError: it cannot be written.
    """
    slice_dir = manifest.slice_dir(number)
    outcome = read_slice(slice_dir).outcomes.get(photo.photo)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FolderLock(slice_dir, environment))
            is_alone = True
        except UsageError as error:
            is_alone = False
            if outcome is None or not outcome.is_done or photo.tar is not None:
                raise UsageError(
                    f"{photo.photo}: its slice is being worked on ({error}); redo it when that "
                    "has ended"
                ) from error
        classes = _write_found(manifest, photo, new)
        stack.enter_context(writing_results(manifest.erased))
        if photo.tar is None:
            target = manifest.erased / photo.photo
            remove_unfinished([target])
            write_bytes(target, new.result.read_bytes())
        is_finished = is_alone and read_done(slice_dir) is not None
        if is_finished:  # first, so that a crash in between leaves more to do and not less
            (slice_dir / DONE_NAME).unlink(missing_ok=True)
        with LedgerWriter(attempt_path(slice_dir, environment)) as ledger:
            ledger.write(photo.photo, "redone", stage=_STAGE, classes=classes)
        if is_finished:
            write_done(slice_dir, count(manifest, number, read_slice(slice_dir)))


def _write_found(manifest: Manifest, photo: PhotoRow, new: Replacement) -> dict[str, int]:
    """Write mask and instances, in a tar file the result, too; return the classes selected."""
    found = _selected(new)
    classes = Counter(found.instances[i].class_name for i in new.selected) if found else Counter()
    with writing_results(manifest.found):
        if photo.tar is None:
            masks, instances = manifest.found / "masks", manifest.found / "instances"
            write_bytes(with_ending(masks / photo.photo, ".png"), new.mask.read_bytes())
            if found:
                write_instances(with_ending(instances / photo.photo, ".json"), found)
        else:
            _write_members(manifest, photo, photo.tar, new, found)
    return dict(classes)


def _selected(new: Replacement) -> PhotoInstances | None:
    if new.instances is None:
        return None
    found = read_instances(new.instances)
    selected = tuple(index for index in new.selected if index < len(found.instances))
    return replace(found, selected=selected, selection=_SELECTION)


def _write_members(
    manifest: Manifest, photo: PhotoRow, tar: str, new: Replacement, found: PhotoInstances | None
) -> None:
    key = photo.photo[len(tar) + 1 :]
    files = {f"masks/{key}.png": new.mask}
    if found:
        instances = new.mask.with_name("selected.json")
        write_instances(instances, found)
        files[f"instances/{key}.json"] = instances
    for path, base, members in (
        (manifest.found / tar, None, files),
        (manifest.erased / tar, manifest.root / tar, {key: new.result}),
    ):
        write_anew(path, path if path.exists() else base, members)
