"""What a stage notes in a slice's ledger about each photo."""

from collections.abc import Mapping
from pathlib import Path

from pconv_hpc.erasing.folder.ledger import LedgerWriter
from pconv_hpc.foundation.closing import Closing


class StageLedger(Closing):
    """Writes the rows of one stage; without a file it writes nothing.

    Args:
        path: the ledger of the attempt, or ``None``.
        stage: this stage's name in the rows.
        images: the photo, or the folder of photos, that the stage was given.
    """

    def __init__(self, path: Path | None, stage: str, images: Path) -> None:
        self._writer = LedgerWriter(path) if path else None
        self._stage = stage
        self._folder = images.parent if images.is_file() else images

    def name(self, photo: Path) -> str:
        """Return what the ledger calls a photo: its path relative to the folder."""
        return photo.relative_to(self._folder).as_posix()

    def begin(self, photo: str) -> None:
        """Note that the work on a photo begins."""
        if self._writer:
            self._writer.write(photo, "begun", stage=self._stage)

    def found(self, photo: str, classes: Mapping[str, int]) -> None:
        """Note how many objects of each class were selected, perhaps none."""
        if self._writer:
            self._writer.write(photo, "found", stage=self._stage, classes=classes)

    def erased(self, photo: str) -> None:
        """Note that the erased photo is there."""
        if self._writer:
            self._writer.write(photo, "erased", stage=self._stage)

    def failed(self, photo: str, reason: str) -> None:
        """Note why a photo failed; that it was this photo goes without saying."""
        if self._writer:
            reason = reason.removeprefix(f"{self._folder / photo}: ")
            self._writer.write(photo, "failed", stage=self._stage, reason=reason)

    def close(self) -> None:
        """Close the file."""
        if self._writer:
            self._writer.close()
