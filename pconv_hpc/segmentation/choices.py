"""What is to be selected in which photo, and the tables in which people write that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError, require
from pconv_hpc.photos.sources.list_files import read_table
from pconv_hpc.photos.sources.named_photos import (
    OnDisk,
    refuse_unmatched,
    relative_name,
    same_letters,
)
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.selection import Selection, check_classes, select
from pconv_hpc.segmentation.selection_text import parse_box, parse_number, parse_point

COLUMNS = ("image", "click", "number", "class", "box")


class Choices:
    """What is to be selected in each photo: by a table where it names the photo, else in general.

    Attributes:
        general: for photos that the table does not name.
        per_image: selections by relative path; a photo's selections are united.
    """

    def __init__(
        self, general: Selection, per_image: dict[str, tuple[Selection, ...]] | None = None
    ) -> None:
        self.general = general
        self.per_image = per_image or {}
        self._by_letters = {same_letters(image): image for image in self.per_image}

    def checked(self, classes: Sequence[str]) -> "Choices":
        """Return the choices with class names as the network spells them.

        Raises:
            UsageError: the network does not know one of them.
        """
        return Choices(
            check_classes(self.general, classes),
            {
                image: tuple(check_classes(selection, classes) for selection in selections)
                for image, selections in self.per_image.items()
            },
        )

    def describe(self, image: str) -> str | None:
        """Return what is to be selected in a photo as text, the same for the same selection."""
        texts = [
            ", ".join(
                f"{name} {value}"
                for name, value in vars(selection).items()
                if value != getattr(_NOTHING, name) or name == "min_score"
            )
            for selection in self._of(image)
            if not selection.is_empty
        ]
        return "; ".join(texts) or None

    def select(
        self, image: str, instances: Sequence[Instance], *, height: int, width: int
    ) -> tuple[int, ...]:
        """Return the sorted indices of what is selected in a photo; see :func:`select`."""
        chosen: set[int] = set()
        for selection in self._of(image):
            chosen.update(select(instances, selection, height=height, width=width))
        return tuple(sorted(chosen))

    def _of(self, image: str) -> tuple[Selection, ...]:
        named = image if image in self.per_image else self._by_letters.get(same_letters(image))
        return (self.general,) if named is None else self.per_image[named]


_NOTHING = Selection()


@dataclass(frozen=True)
class ChoiceTable:
    """What a table says; ``read_choices`` returns it.

    Attributes:
        path: its file.
        per_image: selections by relative path, none for a photo that is only named.
        lines: the last line of each photo.
    """

    path: Path
    per_image: dict[str, tuple[Selection, ...]]
    lines: dict[str, int]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it names."""
        every = (one for of_photo in self.per_image.values() for one in of_photo)
        return tuple(dict.fromkeys(name for selection in every for name in selection.classes))

    def require(self, photos: Iterable[str], folder: Path) -> None:
        """Raise ``UsageError`` where none of ``photos``, which are in ``folder``, is meant."""
        known = list(photos)
        there = set(map(same_letters, known))
        unmatched = {n: line for n, line in self.lines.items() if same_letters(n) not in there}
        refuse_unmatched(self.path, unmatched, folder, known)

    def require_on_disk(self, folder: Path) -> None:
        """Raise ``UsageError`` where a row means no file in ``folder``."""
        on_disk = OnDisk(folder)
        unmatched = {n: line for n, line in self.lines.items() if on_disk.find(n) is None}
        refuse_unmatched(self.path, unmatched, folder, on_disk.photos())


def read_choices(path: Path, defaults: Selection, folder: Path | None) -> ChoiceTable:
    """Read a table (CSV) of what is to be erased in which photo.

    Its first line names the columns: ``image``, the path relative to the folder of photos, and
    any of ``click`` ("x y"), ``number``, ``class`` and ``box`` ("x0 y0 x1 y1"). A cell may hold
    several clicks, numbers or classes with ``;`` between them, and a photo may have several lines;
    they are united. A line that only names the photo selects nothing in it.

    Args:
        path: the table.
        defaults: where ``min_score`` and ``tolerance`` are taken from.
        folder: of the photos, for absolute paths; ``None``: these are refused.

    Raises:
        UsageError: it cannot be read, or a cell cannot be understood; the message gives its line.
    """
    table = ChoiceTable(path, {}, {})
    for number, row in read_table(path, COLUMNS, "image"):
        try:
            require(row["image"] != "", "names no image")
            image = relative_name(row["image"], folder)
            selection = _parse_row(row, defaults)
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error
        table.per_image[image] = (*table.per_image.get(image, ()), selection)
        table.lines[image] = number
    return table


def _parse_row(row: dict[str, str], defaults: Selection) -> Selection:
    return replace(
        defaults,
        clicks=tuple(parse_point(text) for text in _parts(row, "click")),
        numbers=tuple(parse_number(text) for text in _parts(row, "number")),
        classes=tuple(_parts(row, "class")),
        box=next((parse_box(text) for text in _parts(row, "box")), None),
        largest=None,
        every=False,
    )


def _parts(row: dict[str, str], column: str) -> list[str]:
    return [part.strip() for part in row.get(column, "").split(";") if part.strip()]
