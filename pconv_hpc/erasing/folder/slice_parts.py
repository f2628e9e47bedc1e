"""What a slice consists of: files of a folder, or the photos of one tar file after the other."""

import itertools
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.erasing.folder.slice_stages import FOUND_KINDS, Stages
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.photos.sources.tar_files import unpack, write_anew


class Part(ABC):
    """Photos that go through the stages together.

    Attributes:
        rows: the photos.
        stages: where the stages find them.
    """

    def __init__(self, rows: Sequence[PhotoRow], stages: Stages) -> None:
        self.rows = rows
        self.stages = stages

    @property
    def tar_files(self) -> Sequence[Path]:
        """The tar files that ``finish`` writes."""
        return ()

    def prepare(self, photos: Sequence[str]) -> None:
        """Make these photos, which are still to be done, files; raises ``PconvError``."""
        del photos
        self.stages.masks.mkdir(parents=True, exist_ok=True)  # there may be nothing to select

    @property
    @abstractmethod
    def copies_empty(self) -> bool:
        """Whether photos with nothing to erase are to be copied."""

    @property
    def is_finished(self) -> bool:
        """Whether, with all photos accounted for, nothing is left to do."""
        return True

    def finish(self) -> None:
        """Do what is left once every photo is accounted for; raises ``PconvError``."""
        return


class FolderPart(Part):
    """All photos of a slice of a folder."""

    @property
    def copies_empty(self) -> bool:
        return self.stages.settings.empty == "copy"


class TarPart(Part):
    """The photos of one tar file, unpacked while they are worked on.

    What is found and what is erased become tar files of the same name, and nothing else stays.
    """

    def __init__(self, manifest: Manifest, tar: str, rows: Sequence[PhotoRow]) -> None:
        self._unpacked = manifest.out / "unpacked"
        stages = Stages(
            images=self._unpacked / "images",
            found=self._unpacked / "found",
            erased=self._unpacked / "erased",
            settings=manifest.settings,
        )
        super().__init__(rows, stages)
        self._tar = tar
        self._source = manifest.root / tar
        self._found = manifest.found / tar
        self._erased = manifest.erased / tar

    @property
    def tar_files(self) -> Sequence[Path]:
        return self._found, self._erased

    def prepare(self, photos: Sequence[str]) -> None:
        super().prepare(photos)
        keys = {photo[len(self._tar) + 1 :] for photo in photos}
        unpack(self._source, keys, self.stages.images / self._tar)

    @property
    def copies_empty(self) -> bool:
        return False  # they stay as they are in the tar file

    @property
    def is_finished(self) -> bool:
        has_both = self._erased.is_file() and self._found.is_file()
        return has_both and not any(folder.exists() for folder in self._folders())

    def finish(self) -> None:
        """Write the tar files, also anew where photos that had been set aside were tried again."""
        found = {
            f"{kind}/{name}": path
            for kind in FOUND_KINDS
            for name, path in _files(self.stages.found / kind / self._tar)
        }
        write_anew(self._found, self._found if self._found.exists() else None, found)
        erased = dict(_files(self.stages.erased / self._tar))
        write_anew(self._erased, self._erased if self._erased.exists() else self._source, erased)
        for folder in self._folders():  # the erased ones last: with them all this can be done again
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        found = [self.stages.found / kind / self._tar for kind in FOUND_KINDS]
        return [self.stages.images / self._tar, *found, self.stages.erased / self._tar]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the relative path and the path of each finished file in a folder."""
    for path in folder.rglob("*"):
        if path.is_file() and not (path.name.startswith(".") and path.name.endswith(".tmp")):
            yield path.relative_to(folder).as_posix(), path


def parts_of(manifest: Manifest, rows: Sequence[PhotoRow]) -> Iterator[Part]:
    """Yield the parts of a slice's photos."""
    if manifest.inputs == "folder":
        stages = Stages(
            images=manifest.images,
            found=manifest.found,
            erased=manifest.erased,
            settings=manifest.settings,
        )
        yield FolderPart(rows, stages)
        return
    for tar, group in itertools.groupby(rows, key=lambda row: row.tar):
        if tar is not None:
            yield TarPart(manifest, tar, list(group))
