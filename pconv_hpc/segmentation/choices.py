"""What is to be selected in which photo, and the tables in which people write that."""

import csv
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.instances import Instance
from pconv_hpc.segmentation.selection import Selection, check_classes, select
from pconv_hpc.segmentation.selection_text import parse_box, parse_number, parse_point

COLUMNS = ("image", "click", "number", "class", "box")
_MAX_FIELD_CHARACTERS = 1 << 16
_SHOWN = 5  # names of a long list


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
        return self.per_image.get(image, (self.general,))


_NOTHING = Selection()


def read_choices(path: Path, defaults: Selection) -> dict[str, tuple[Selection, ...]]:
    """Read a table (CSV) of what is to be erased in which photo.

    Its first line names the columns: ``image``, the path relative to the folder of photos, and
    any of ``click`` ("x y"), ``number``, ``class`` and ``box`` ("x0 y0 x1 y1"). A cell may hold
    several clicks, numbers or classes with ``;`` between them, and a photo may have several lines;
    they are united. A line that only names the photo selects nothing in it.

    Args:
        path: the table.
        defaults: where ``min_score`` and ``tolerance`` are taken from.

    Raises:
        UsageError: it cannot be read, or a cell cannot be understood; the message gives its line.
    """
    lines: dict[str, tuple[Selection, ...]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            csv.field_size_limit(_MAX_FIELD_CHARACTERS)
            reader = csv.DictReader(stream, strict=True)
            _check_header(path, reader.fieldnames)
            for row in reader:
                try:
                    image, selection = _parse_row(row, defaults)
                except UsageError as error:
                    raise UsageError(f"{path}, line {reader.line_num}: {error}") from error
                lines[image] = (*lines.get(image, ()), selection)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a table of comma-separated values ({error})") from error
    return lines


def refuse_unknown(path: Path, unknown: Collection[str], images: Path) -> None:
    """Raise ``UsageError`` if a table names photos that are unknown in ``images``."""
    if unknown:
        more = ", ..." if len(unknown) > _SHOWN else ""
        raise UsageError(
            f"{path}: names {len(unknown)} photos that are not in {images}: "
            f"{', '.join(sorted(unknown)[:_SHOWN])}{more}; expected paths relative to it"
        )


def _check_header(path: Path, header: Sequence[str] | None) -> None:
    names = list(header or ())
    unknown = [name for name in names if name not in COLUMNS]
    if "image" not in names or unknown:
        raise UsageError(
            f"{path}: the first line must name the columns, 'image' and any of "
            f"{', '.join(COLUMNS[1:])}; found: {', '.join(names) or 'nothing'}"
        )


def _parse_row(row: dict[str, str], defaults: Selection) -> tuple[str, Selection]:
    if None in row or None in row.values():
        raise UsageError("has more or fewer cells than the first line; quote cells with commas")
    image = row["image"].strip()
    if not image:
        raise UsageError("names no image")
    selection = replace(
        defaults,
        clicks=tuple(parse_point(text) for text in _parts(row, "click")),
        numbers=tuple(parse_number(text) for text in _parts(row, "number")),
        classes=tuple(_parts(row, "class")),
        box=next((parse_box(text) for text in _parts(row, "box")), None),
        largest=None,
        every=False,
    )
    return image, selection


def _parts(row: dict[str, str], column: str) -> list[str]:
    return [part.strip() for part in row.get(column, "").split(";") if part.strip()]
