"""Marks of several people, in files that only grow."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.review import marks as marks_module
from pconv_hpc.page.review.marks import Marks


def test_the_last_of_several_marks_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = Marks(tmp_path), Marks(tmp_path)
    mine.add("a.jpg", 0, "accepted")
    mine.add("b.jpg", 1, "accepted")
    monkeypatch.setattr(marks_module, "_user", lambda: "ada")
    theirs.add("b.jpg", 1, "rejected")
    mine.refresh()
    mark = mine.of(1, "b.jpg")
    assert mark is not None
    assert (mark.word, mark.by) == ("rejected", "ada")
    assert sorted(mine.rows("marked")) == [0, 1]
    assert mine.rows("rejected") == (1,)
    mine.add("b.jpg", 1, "")
    theirs.refresh()
    assert theirs.of(1, "b.jpg") is None
    assert theirs.rows("marked") == (0,)
    assert len(list((tmp_path / "marks").iterdir())) == 2


def test_a_mark_is_of_a_photo_and_not_of_a_place(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    marks.add("a.jpg", 0, "accepted")
    assert marks.of(0, "another.jpg") is None


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    Marks(tmp_path).add("a.jpg", 0, "accepted")
    (path,) = (tmp_path / "marks").iterdir()
    lines = (
        b'{"photo": 1, "row": 0, "word": "accepted", "by": "x", "time": 9e99}\n[]\n\xff\n'
        b'{"photo": "a.jpg", "row": 0, "word": "rejected", "by": "x", "time": NaN}\n'
        b'{"photo": "a.jpg", "row": 0, "word": "rej'
    )
    with open(path, "ab") as stream:
        stream.write(lines)
    marks = Marks(tmp_path)
    marks.refresh()
    mark = marks.of(0, "a.jpg")
    assert mark is not None
    assert mark.word == "accepted"


def test_other_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'nice': expected one of accepted, rejected, redo"):
        Marks(tmp_path).add("a.jpg", 0, "nice")
    assert not (tmp_path / "marks").exists()
