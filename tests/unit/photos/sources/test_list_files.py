"""Tables as spreadsheets and other programs write them."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.list_files import read_table

ROWS = [{"image": "a b.jpg", "click": "1 2"}, {"image": "ü,;.jpg", "click": ""}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        ["image,click", "a b.jpg,1 2", '"ü,;.jpg",'],
        ["Image; Click ", "", " a b.jpg ;1 2;;", ";", '"ü,;.jpg";'],
        ["image\tclick\t", "a b.jpg\t1 2\t", "\t\t", "ü,;.jpg\t\t"],
        ["", "sep=;", "image;click", "a b.jpg;1 2", '"ü,;.jpg";'],
    ],
)
def test_tables_of_any_program(tmp_path: Path, encoding: str, end: str, lines: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    rows = list(read_table(path, ("image", "click"), "image"))
    assert [row for _, row in rows] == ROWS
    assert [number for number, _ in rows] == [
        next(n for n, line in enumerate(lines, 1) if word in line) for word in ("a b", "ü")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name the columns"),
        ("image,image\n", "must name the columns"),
        ("image,click\na.jpg\n", "line 2: has more or fewer cells"),
        ('image,click\n"a\n', "not a table"),
        (f"image\n{'a' * 70_000}\n", "line 2: not a table"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        list(read_table(path, ("image", "click"), "image"))
