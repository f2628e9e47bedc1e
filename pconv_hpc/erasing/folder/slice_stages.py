"""The command lines of the two stages of a slice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.foundation.atomic import remove_unfinished
from pconv_hpc.foundation.launchers import program_command
from pconv_hpc.segmentation.photo_places import places

StageName = Literal["segment", "inpaint"]
PROGRAMS: dict[StageName, list[str]] = {
    "segment": program_command("segment"),
    "inpaint": program_command("inpaint"),
}
FOUND_KINDS = ("instances", "masks", "overlays")  # the folders of the first stage's results


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Where the stages read and write; all paths are absolute.

    Attributes:
        images: the folder of the photos.
        found: the folder of masks and instances.
        erased: the folder of the erased photos.
        settings: what is done to each photo.
    """

    images: Path
    found: Path
    erased: Path
    settings: EraseSettings

    @property
    def masks(self) -> Path:
        """The folder of the masks."""
        return self.found / "masks"

    def mask(self, photo: str) -> Path:
        """Return the mask file of a photo."""
        return places(self.images, photo, self.found).mask

    def command(self, stage: StageName, *, todo: Path, ledger: Path, alone: bool) -> list[str]:
        """Return the command that brings the photos of a list one stage further.

        Args:
            stage: which.
            todo: rows like those of ``photos.jsonl``.
            ledger: the ledger file of this attempt.
            alone: one photo at a time, so that one that kills the process is known by it.
        """
        settings = self.settings
        if alone:
            settings = replace(settings, resources=settings.resources.one_by_one)
        results = [self.found] if stage == "segment" else [self.masks, self.erased]
        folders = map(str, [self.images, *results])
        # --name=value, so that no value passes for an option
        options = [f"--files-from={todo}", f"--ledger={ledger}", settings.word]
        options += ["--for-erasing"] if stage == "segment" else []
        return [*PROGRAMS[stage], *folders, *options]

    def sweep(self, photos: Sequence[str]) -> None:
        """Remove what a dead stage had written of these photos' results and not finished."""
        all_found = [places(self.images, photo, self.found) for photo in photos]
        written = [path for f in all_found for path in (f.instances, f.mask, f.overlay)]
        remove_unfinished([*written, *(self.erased / photo for photo in photos)])
