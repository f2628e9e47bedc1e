"""A photo of an erase folder as the page goes through it: what is there is one of its results."""

import hashlib
from pathlib import Path
from typing import Any

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.page.named import PhotoFile
from pconv_hpc.page.photo_work import PhotoWork, Result
from pconv_hpc.page.settings import PageSettings
from pconv_hpc.page.workers import Workers


class FolderPhotoWork(PhotoWork):
    """One photo of an erase folder.

    Its objects are those that were found, it is filled with the folder's own network and options
    unless others are chosen, and a result is kept by putting it in place of the one that is there.

    Args:
        photo: a row of the folder.
        settings: of the page.
        scratch: a folder of its own.
        workers: do the work.
    """

    def __init__(
        self, photo: PhotoFile, settings: PageSettings, scratch: Path, workers: Workers
    ) -> None:
        super().__init__(photo, settings, scratch, workers)
        self.known: dict[str, Any] = {}
        self._folder: dict[str, Any] = {}

    async def refresh(self) -> None:
        """Read what the folder says of the photo now.

        Raises:
            PconvError: the photo is not there any more.
        """
        out = str(self.photo.path)
        if not self._folder:
            self._folder = await self._workers.review.call("overview", out=out)
        self.known = await self._workers.review.call("photo", out=out, row=self.photo.row)
        if not self.known["files"]["before"]:
            raise UsageError(f"{printable(self.photo.name)}: the photo is not there any more")
        self._note_result()

    def _note_result(self) -> None:
        """Count what is in the folder among the results; its id changes with its content."""
        for old in [key for key, result in self.results.items() if result.weights == _IN_FOLDER]:
            del self.results[old]
        if path := self.known["files"]["after"]:
            stat = Path(path).stat()
            text = f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"
            identifier = hashlib.sha256(text.encode()).hexdigest()[:24]
            self.results[identifier] = Result(
                identifier, Path(path), _IN_FOLDER, "", "", state="done", saved=path
            )
            self.results.move_to_end(identifier, last=False)

    @property
    def path(self) -> str:
        """The photo's file."""
        return str(self.known["files"]["before"])

    @property
    def weights(self) -> tuple[Path, ...]:
        """The networks to choose from: the folder's own, then those of the page."""
        own = Path(self._folder["settings"]["inpaint"]["weights"])
        return (own, *(path for path in super().weights if path != own))

    @property
    def settings(self) -> dict[str, Any]:
        """The folder's own settings."""
        return dict(self._folder["settings"])

    @property
    def instances(self) -> str:
        """The objects that were found when the folder was erased, or on this page."""
        return str(self.known["files"]["instances"]) or super().instances

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen for the folder, where a person's choice begins."""
        segment = self.settings["segment"]
        return {
            "shape": segment["mask"],
            "dilation": segment["dilate"],
            "detail": self.settings["inpaint"]["detail"],
        }

    @property
    def file_name(self) -> str:
        """What results are called."""
        return Path(self.photo.name).name

    async def save(self, result: Result, *, overwrite: bool) -> bool:
        """Put a result in place of the one in the folder, and account for it.

        Raises:
            PconvError: it cannot be put there.
        """
        del overwrite
        if self._settings.read_only:
            raise UsageError("this page was started with --read-only")
        if result.state != "done" or result.weights == _IN_FOLDER:
            raise UsageError("it is not done yet, or in the folder already")
        await self._workers.review.call(
            "redo",
            out=str(self.photo.path),
            row=self.photo.row,
            result=str(result.path),
            mask=str(result.path.parent / "mask.png"),
            instances=self.instances,
            selected=self.selected(result.mask),
        )
        for other in self.results.values():
            other.saved = ""
        await self.refresh()
        result.saved = str(self.known["files"]["after"])
        return True


_IN_FOLDER = "in the folder"
