"""The files of a photo of an erase folder; members of tar files are made files."""

import hashlib
import shutil
import tarfile
import threading
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Literal, get_args

from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.foundation.atomic import atomic_path
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.tar_members import regular_files, telling_damage

Kind = Literal["before", "mask", "after", "instances"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_MAX_INDICES = 16  # of tar files
_MAX_FILES = 500  # made of members


class Members:
    """Finds the files of photos.

    Args:
        manifest: of the folder.
        scratch: where members of tar files are made files.
    """

    def __init__(self, manifest: Manifest, scratch: Path) -> None:
        self._manifest = manifest
        self._scratch = scratch
        self._indices: OrderedDict[str, dict[str, tuple[int, int]]] = OrderedDict()
        self._made: OrderedDict[Path, None] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, photo: PhotoRow, kind: Kind) -> Path | None:
        """Return the file of one kind; ``None`` where there is none.

        Raises:
            UsageError: a tar file is damaged.
        """
        manifest = self._manifest
        if photo.tar is None:
            path = _place(photo.photo, kind, manifest.root, manifest.found, manifest.erased)
            return path if path.is_file() else None
        # while its tar file is being worked on, results are files
        unpacked = manifest.out / "unpacked"
        folders = (unpacked / "images", unpacked / "found", unpacked / "erased")
        path = _place(photo.photo, kind, *folders)
        if path.is_file():
            return path
        key = photo.photo[len(photo.tar) + 1 :]
        if kind == "before":
            return self._member(manifest.root / photo.tar, key)
        if kind == "after":
            return self._member(manifest.erased / photo.tar, key)
        found = manifest.found / photo.tar
        return self._member(found, f"{_FOUND[kind][0]}/{key}{_FOUND[kind][1]}")

    def _member(self, tar: Path, key: str) -> Path | None:
        if not tar.is_file():
            return None
        stat = tar.stat()
        version = f"{tar}\0{stat.st_mtime_ns}\0{stat.st_size}\0{stat.st_ino}"
        with self._lock:
            if version not in self._indices:
                self._indices[version] = _index_of(tar)
                while len(self._indices) > _MAX_INDICES:
                    self._indices.popitem(last=False)
            place = self._indices[version].get(key)
            if place is None:
                return None
            digest = hashlib.sha256(f"{version}\0{key}".encode("utf-8", "surrogateescape"))
            path = self._scratch / digest.hexdigest()[:24] / Path(key).name
            if not path.exists():
                _copy(tar, place, path)
            self._made[path] = None
            self._made.move_to_end(path)
            while len(self._made) > _MAX_FILES:
                old, _ = self._made.popitem(last=False)
                shutil.rmtree(old.parent, ignore_errors=True)
            return path


_FOUND = {"mask": ("masks", ".png"), "instances": ("instances", ".json")}


def _place(photo: str, kind: Kind, root: Path, found: Path, erased: Path) -> Path:
    if kind == "before":
        return root / photo
    if kind == "after":
        return erased / photo
    folder, ending = _FOUND[kind]
    return found / folder / f"{photo}{ending}"


def _index_of(path: Path) -> dict[str, tuple[int, int]]:
    """Return where the content of each member begins, and its bytes."""
    with telling_damage(path), tarfile.open(path, "r:") as tar:
        members = regular_files(path, tar, end=path.stat().st_size, ignored=Counter())
        return {key: (member.offset_data, member.size) for key, member in members}


def _copy(tar: Path, place: tuple[int, int], target: Path) -> None:
    offset, size = place
    try:
        with open(tar, "rb") as stream, atomic_path(target, durable=False) as temporary:
            stream.seek(offset)
            with open(temporary, "wb") as copy:
                while size > 0 and (block := stream.read(min(size, 1 << 20))):
                    copy.write(block)
                    size -= len(block)
    except OSError as error:
        raise UsageError(f"{tar}: cannot be read ({error.strerror})") from error
