"""One photo from what a person points at to a result beside it, each stage a process of its own."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.erasing.stage_process import PreparedStage, run_stage
from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.file_names import with_ending
from pconv_hpc.foundation.launchers import program_command
from pconv_hpc.masks.mask_growing import mask_pixels
from pconv_hpc.photos.copying import copy_result
from pconv_hpc.photos.decode import decode_rgb
from pconv_hpc.photos.result_path import result_path
from pconv_hpc.segmentation.answers import answered_instances, describe_instances
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances
from pconv_hpc.segmentation.overlay import draw_overlay
from pconv_hpc.segmentation.photo_places import Places, places

PROMPT = "number(s) or x y (empty: quit): "


def output_path(photo: Path, out: Path | None, *, overwrite: bool) -> Path:
    """Return where the erased photo goes: by default beside the photo as ``NAME_erased``.

    Args:
        photo: the photo's file.
        out: a folder, or a file name with the photo's own suffix.
        overwrite: whether there may be something already.

    Raises:
        UsageError: there is something already, or ``result_path`` refuses ``out``.
    """
    if out is None:
        output = with_ending(photo.with_name(photo.stem), f"_erased{photo.suffix}")
    else:
        output = result_path(photo, out)
    if output.exists() and (output.samefile(photo) or not overwrite):
        hint = "" if output.samefile(photo) else "pass --overwrite or "
        raise UsageError(f"{output}: already exists; {hint}choose another name")
    return output


@dataclass(frozen=True, kw_only=True)
class OnePhoto:
    """The work on one photo.

    Attributes:
        photo: its file.
        output: where the result goes.
        folder: for what lies between the two: instances, mask, overlay, logs.
        settings: what is done to it, with what to select if that is known.
    """

    photo: Path
    output: Path
    folder: Path
    settings: EraseSettings

    @property
    def places(self) -> Places:
        """Where the photo's instances, mask and overlay are."""
        return places(self.photo.parent.absolute(), self.photo.name, self.folder / "found")

    def find(self) -> PhotoInstances:
        """Find the objects, draw the overlay, and write the mask of what is selected, if any.

        Raises:
            PconvError: the program could not; the message is its own.
        """
        program = [*program_command("segment"), str(self.photo.absolute())]
        folder = str((self.folder / "found").absolute())
        command = [*program, folder, "--overlay", "--for-erasing", self.settings.word]
        run_stage(command, self.folder / "segment.log")
        return read_instances(self.places.instances)

    def filling(self) -> PreparedStage:
        """Return the stage that erases what the mask marks; it loads its network meanwhile."""
        program = [*program_command("inpaint"), str(self.photo.absolute())]
        files = [str(self.places.mask.absolute()), str(self._erased.parent)]
        command = [*program, *files, "--overwrite", self.settings.word]
        return PreparedStage(command, self.folder / "inpaint.log")

    def erase(self, filling: PreparedStage) -> None:
        """Erase what the mask marks.

        Raises:
            PconvError: the program could not; the message is its own.
        """
        filling.run()
        copy_result(self._erased, self.output)

    @property
    def _erased(self) -> Path:
        return (self.folder / "erased" / self.photo.name).absolute()

    def mark(self, found: PhotoInstances, selected: Collection[int]) -> None:
        """Write the mask of the selected instances, and the overlay with them outlined in red."""
        mask = mask_pixels(
            found.instances,
            selected,
            height=found.height,
            width=found.width,
            shape=self.settings.segment.mask,
            dilation=self.settings.segment.dilate,
        )
        _save(self.places.mask, mask)
        image = decode_rgb(self.photo, max_pixels=self.settings.resources.max_pixels)
        _save(self.places.overlay, draw_overlay(image, found.instances, selected))


def _save(path: Path, pixels: np.ndarray) -> None:
    with atomic.atomic_path(path, durable=False) as temporary:
        Image.fromarray(pixels).save(temporary, "JPEG" if path.suffix == ".jpg" else "PNG")


def erase_selected(work: OnePhoto, say: Callable[[str], None]) -> None:
    """Erase what ``work.settings`` select.

    Raises:
        UsageError: they select nothing in this photo.
        PconvError: a stage failed.
    """
    with work.filling() as filling:
        filling.prepare()
        found = work.find()
        if not found.selected:
            table = describe_instances(found.instances) if found.instances else "no objects"
            raise UsageError(f"{work.photo}: the selection matches nothing in it; found:\n{table}")
        say(f"to erase: {_names(found, found.selected)}")
        work.erase(filling)
    say(f"written: {work.output}")


def erase_answered(
    work: OnePhoto,
    *,
    ask: Callable[[str], str],
    say: Callable[[str], None],
    show: Callable[[Path], None],
    is_patient: bool,
) -> None:
    """Show what is in a photo, ask what to erase, erase that, and ask again.

    What was chosen before is erased too: every result is made from the photo itself.

    Args:
        work: without a selection.
        ask: returns the answer to a prompt; raises EOFError where there is none.
        say: tells a person.
        show: opens a picture.
        is_patient: whether somebody is there who can give another answer to a wrong one.

    Raises:
        UsageError: there is nothing in the photo, or an answer is wrong and nobody is there.
        PconvError: a stage failed.
    """
    with work.filling() as filling:
        filling.prepare()
        found = work.find()
        if not found.instances:
            raise UsageError(f"{work.photo}: no objects found; --min-score 0.1 finds more")
        say(describe_instances(found.instances))
        say(f"the numbers are drawn in {work.places.overlay}")
        show(work.places.overlay)
        chosen: set[int] = set()
        while answer := _answer(ask, say):
            try:
                meant = answered_instances(answer, found)
            except UsageError as error:
                if not is_patient:
                    raise
                say(str(error))
                continue
            chosen |= set(meant)
            say(f"to erase: {_names(found, sorted(chosen))}")
            work.mark(found, chosen)
            work.erase(filling)
            say(f"written: {work.output}")
            if is_patient:
                filling.prepare()  # while the next answer is thought of
    if not chosen:
        say("nothing was chosen, nothing was erased")


def _answer(ask: Callable[[str], str], say: Callable[[str], None]) -> str:
    try:
        return ask(PROMPT).strip()
    except EOFError:
        say("")  # the prompt is left without an end of its line
        return ""


def _names(found: PhotoInstances, indices: Sequence[int]) -> str:
    return ", ".join(f"{index + 1} {found.instances[index].class_name}" for index in indices)
