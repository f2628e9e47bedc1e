"""Names that can be shown anywhere, and tables in columns."""

import pytest

from pconv_hpc.foundation.text import aligned, printable, status_table


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ünï 照片.jpg", "Ünï 照片.jpg"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),  # a byte that is no UTF-8, as the system's calls give it
        ("a\ud800b\udce9", "a\\ud800b\\udce9"),  # a surrogate that stands for no byte
    ],
)
def test_any_name_becomes_unicode(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert shown.encode()


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("a", "number", "c"), ("long", "7", "")]
    assert aligned(rows) == ["a     number  c", "long  7"]
    assert aligned(rows, numbers=True) == ["a     number  c", "long       7"]


def test_a_last_error_stands_below_its_row() -> None:
    table = status_table(["run", "step"], [("one", "10"), ("two", "2")], ["disk full", None])
    assert table.splitlines() == ["run  step", "one  10", "  last error: disk full", "two  2"]
