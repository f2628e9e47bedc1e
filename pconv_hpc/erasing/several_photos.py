"""Several photos of a command line through both stages, each a process that all go through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.erasing.stage_programs import Programs, how_it_ended
from pconv_hpc.foundation.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    Interrupted,
    PconvError,
)
from pconv_hpc.foundation.launchers import program_command, program_name
from pconv_hpc.photos.copying import copy_result
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.segmentation.photo_places import places


@dataclass(frozen=True, kw_only=True)
class SeveralPhotos:
    """The work on photos that a person names one by one.

    Attributes:
        folder: that of the photos.
        names: their paths relative to it.
        out: the folder of the results, under the same paths.
        work: for what lies between the stages.
        settings: what is done to each; they select something.
        overwrite: whether results that are there are made again.
    """

    folder: Path
    names: Sequence[str]
    out: Path
    work: Path
    settings: EraseSettings
    overwrite: bool

    def erase(self, say: Callable[[str], None]) -> int:
        """Find and erase; return the exit code. What fails fails alone, and the stages tell it.

        Raises:
            Interrupted: this process was told to stop; results that are there stay.
            PconvError: a stage died.
        """
        is_there = {name for name in self.names if (self.out / name).exists()}
        names = self.names if self.overwrite else [n for n in self.names if n not in is_there]
        if len(names) < len(self.names):
            say(f"{len(is_there)} results are there and stay as they are")
        if not names:
            return EXIT_DONE
        found, todo = (self.work / "found").absolute(), self.work / "photos.jsonl"
        found.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{PhotoRow(name, 0).to_json()}\n" for name in names)
        todo.write_text(rows, encoding="ascii")
        options = [f"--files-from={todo.absolute()}", self.settings.word]
        options += ["--overwrite"] if self.overwrite else []
        images, out = str(self.folder), str(self.out.absolute())
        segment = [*program_command("segment"), images, str(found), "--for-erasing", *options]
        inpaint = [*program_command("inpaint"), images, str(found / "masks"), out, *options]
        with Programs() as programs:
            codes = {_run(programs, segment)}
            if any(places(self.folder, name, found).mask.exists() for name in names):
                codes.add(_run(programs, inpaint))
        if EXIT_USAGE not in codes:
            self._finish_empty(names, found, say)
        return max(codes)

    def _finish_empty(self, names: Sequence[str], found: Path, say: Callable[[str], None]) -> None:
        """Copy the photos in which nothing is selected, or leave them out."""
        all_places = [places(self.folder, name, found) for name in names]
        empty = [p for p in all_places if p.instances.exists() and not p.mask.exists()]
        if not empty:
            return
        is_copied = self.settings.empty == "copy"
        for photo in empty if is_copied else ():
            copy_result(photo.photo, self.out / photo.image)
        done = "copied" if is_copied else "left out"
        say(f"{len(empty)} with nothing to erase ({done}): {', '.join(p.image for p in empty)}")


def _run(programs: Programs, command: Sequence[str]) -> int:
    code = programs.run(command)
    if programs.is_told_to_stop or code == EXIT_INTERRUPTED:
        raise Interrupted(f"stopped by {programs.signal_name}; run the same command again")
    if code not in (EXIT_DONE, EXIT_FAILED, EXIT_USAGE):
        raise PconvError(f"{program_name(command)} {how_it_ended(code)}")
    return code
