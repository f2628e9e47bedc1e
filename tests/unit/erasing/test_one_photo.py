"""Where the result of one photo goes."""

from pathlib import Path

import pytest

from pconv_hpc.erasing.one_photo import output_path
from pconv_hpc.foundation.errors import UsageError


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (None, "in/a.b_erased.JPG"),
        ("in/other.jpg", "in/other.jpg"),
        ("folder", "folder/a.b.JPG"),
        ("new/folder", "new/folder/a.b.JPG"),
        ("with.dot", "with.dot/a.b.JPG"),  # a folder that is there
    ],
)
def test_results_have_a_name(tmp_path: Path, out: str | None, expected: str) -> None:
    for name in ("in", "folder", "with.dot"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a.b.JPG").touch()
    found = output_path(tmp_path / "in/a.b.JPG", out and tmp_path / out, overwrite=False)
    assert found == tmp_path / expected


def test_the_longest_name_has_a_result(tmp_path: Path) -> None:
    photo = tmp_path / f"{'a' * 251}.jpg"
    photo.touch()
    result = output_path(photo, None, overwrite=False)
    assert (len(result.name), result.name[-11:]) == (255, "_erased.jpg")


def test_nothing_is_overwritten_unasked_and_the_photo_never(tmp_path: Path) -> None:
    photo, result = tmp_path / "a.jpg", tmp_path / "a_erased.jpg"
    photo.touch()
    result.touch()
    with pytest.raises(UsageError, match="pass --overwrite or choose another name"):
        output_path(photo, None, overwrite=False)
    assert output_path(photo, None, overwrite=True) == result
    for out in (photo, tmp_path):
        with pytest.raises(UsageError, match="already exists; choose another name"):
            output_path(photo, out, overwrite=True)
    (tmp_path / "file").touch()
    for name in ("a.png", "file"):
        with pytest.raises(UsageError, match=r"expected a name that ends in \.jpg"):
            output_path(photo, tmp_path / name, overwrite=False)
