"""Text for people: names that can be shown anywhere, and columns that stand below each other."""

from collections.abc import Sequence


def printable(text: str) -> str:
    """Return text as valid Unicode; bytes of file names that are no UTF-8 become escapes."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte, as JSON can hold
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def aligned(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return rows of cells as lines of text in columns, each as wide as its widest cell.

    With ``numbers`` every column but the first ends at its right edge.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = str.rjust if numbers else str.ljust
    return [
        "  ".join([row[0].ljust(widths[0]), *map(justify, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def status_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], last_errors: Sequence[str | None]
) -> str:
    """Return a table of plain text, with each row's last error on a line of its own below it."""
    head, *lines = aligned([header, *rows])
    shown = [head]
    for line, error in zip(lines, last_errors, strict=True):
        shown.append(line)
        if error:
            shown.append(f"  last error: {error}")
    return "\n".join(shown)
