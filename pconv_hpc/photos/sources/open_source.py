"""Opening whatever a person names as the source of photos."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from pconv_hpc.foundation.errors import Interrupted, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.photos.sources.passed_over import list_kinds
from pconv_hpc.photos.sources.photo_source import PhotoSource
from pconv_hpc.photos.sources.tar_source import Entry, TarSource, find_members

TAR_INDEX_NAME = "source_index.h5"


def open_source(
    path: Path,
    out_dir: Path,
    world: World,
    *,
    save_index: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> PhotoSource:
    """Open a folder of photos or a tar file. All ranks call this together.

    A folder is listed by rank 0 alone: a metadata server should not be asked once per rank. The
    offset index of a tar file is kept in ``out_dir`` unless ``save_index`` is false. Other files
    are counted on standard error.

    Raises:
        UsageError: ``path`` is neither, or cannot be read.
        Interrupted: ``should_stop`` said so while a tar file was scanned.
    """
    path = Path(path)
    folder = world.broadcast(_list_folder(path) if world.is_first else None)
    source: PhotoSource = folder or _open_tar(path, Path(out_dir), world, save_index, should_stop)
    if world.is_first and source.ignored:
        print(f"{source.name}: left out: {list_kinds(source.ignored)}", file=sys.stderr)
    return source


def _open_tar(
    path: Path, out_dir: Path, world: World, save_index: bool, should_stop: Callable[[], bool]
) -> TarSource:

    def progress(inner: list[Entry]) -> Iterator[Entry]:
        for entry in tqdm(inner, "scanning tar files", disable=not world.is_first or not inner):
            if should_stop():
                raise Interrupted("stopped while scanning; run the same command again")
            yield entry

    cache = out_dir / TAR_INDEX_NAME
    return TarSource(path, find_members(path, cache, world, save=save_index, progress=progress))


def _list_folder(path: Path) -> FolderSource | None:
    """Return the photos of a folder, or None if ``path`` is a file."""
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such folder or file; expected a folder of images, or a tar file such as "
            "ILSVRC2012_img_train.tar"
        )
    return None
