"""Lists and tables as people and other programs write them: their encodings, line ends and rows."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pconv_hpc.foundation.atomic import read_small
from pconv_hpc.foundation.errors import UsageError

_MAX_BYTES = 1 << 28
_MAX_FIELD_CHARACTERS = 1 << 16
_SEPARATORS = ",;\t"
# What spreadsheets write before a table so that others know its separator.
_TOLD_SEPARATOR = re.compile(r"\s*sep=([,;\t])\s*", re.IGNORECASE)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not blank, with their numbers from 1.

    Raises:
        UsageError: it cannot be read, or is no text.
    """
    for number, line in enumerate(re.split("\r\n|\n|\r", _read_text(path)), start=1):
        if line.strip():
            yield number, line


def read_table(
    path: Path, columns: Collection[str], required: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table (CSV) that are not blank, with the numbers of their last lines.

    Args:
        path: the table. Cells are separated by commas, semicolons or tabs, whichever its first line
            has most of.
        columns: names that the first line may hold, in lower case.
        required: the one that it must hold.

    Raises:
        UsageError: it cannot be read, is no table, or has other columns.
    """
    text = _read_text(path)
    head = next((line for line in text.splitlines() if line.strip()), "")
    told = _TOLD_SEPARATOR.fullmatch(head)
    separator = told[1] if told else max(_SEPARATORS, key=head.count)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    names: list[str] = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or (told and not names and cells[0].lower() == "sep="):
                continue
            if not names:
                names = "\0".join(cells).rstrip("\0").lower().split("\0")  # spreadsheets add cells
                _check_header(path, names, columns, required)
            elif len(cells) < len(names) or any(cells[len(names) :]):
                raise UsageError(
                    f"{path}, line {reader.line_num}: has more or fewer cells than the first "
                    f"line; quote cells with {separator!r} in them"
                )
            else:
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise UsageError(
            f"{path}, line {reader.line_num}: not a table of cells ({error})"
        ) from error
    if not names:
        _check_header(path, names, columns, required)


def _check_header(path: Path, names: list[str], columns: Collection[str], required: str) -> None:
    if required not in names or not set(columns).issuperset(names) or len(set(names)) < len(names):
        others = ", ".join(name for name in columns if name != required)
        raise UsageError(
            f"{path}: the first line must name the columns, {required!r} and any of {others}; "
            f"found: {', '.join(names) or 'nothing'}"
        )


def _read_text(path: Path) -> str:
    content = read_small(path, _MAX_BYTES, "a list or table")
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not text ({error}); expected UTF-8, or UTF-16") from error
    if "\0" in text:
        raise UsageError(f"{path}: not text (it holds NUL); expected UTF-8, or UTF-16 with a BOM")
    return text
