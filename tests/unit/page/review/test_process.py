"""What the page asks of erase folders: rows in order, a table, marks, photos."""

import csv
import io
import json
from pathlib import Path

import pytest

from pconv_hpc.erasing.folder.manifest import Manifest
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.review import process
from pconv_hpc.page.review.process import Review
from tests.support.erase_folders import account, make_erase_folder
from tests.support.waiting import wait_until


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    manifest = make_erase_folder(tmp_path, num_photos=6, num_slices=2)
    account(manifest, 0, "erased", "erased", "failed", reason="=1+1")
    for number, area in ((0, 100), (1, 400)):
        path = manifest.found / "instances" / f"00{number}.png.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {"width": 40, "height": 30, "selected": [1], "instances": [{"area": area}]}
        path.write_text(json.dumps(found))
    return manifest


@pytest.fixture
def review(manifest: Manifest, tmp_path: Path) -> Review:
    review = Review(scratch=str(tmp_path / "members"))
    wait_until(lambda: review.overview(str(manifest.out))["read"] >= 2)
    return review


def rows(review: Review, manifest: Manifest, order: str, **wanted: str) -> list[int]:
    answer = review.rows(str(manifest.out), wanted, order, 0, 100)
    return [row["row"] for row in answer["rows"]]


def test_the_largest_holes_come_first(review: Review, manifest: Manifest) -> None:
    assert rows(review, manifest, "hole") == [1, 0, 2, 3, 4, 5]
    assert rows(review, manifest, "hole", state="erased") == [1, 0]


def test_too_many_holes_are_not_measured(
    review: Review, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_MAX_MEASURED", 3)
    with pytest.raises(UsageError, match="6 photos: at most 3 are sorted by the size"):
        rows(review, manifest, "hole")
    assert rows(review, manifest, "hole", state="erased") == [1, 0]


def test_damaged_files_of_instances_count_as_no_hole(review: Review, manifest: Manifest) -> None:
    for text in ("", "[]", '{"selected": [7], "instances": []}', '{"selected": 1}'):
        (manifest.found / "instances" / "001.png.json").write_text(text)
        review._folders[str(manifest.out)]._holes.clear()
        assert rows(review, manifest, "hole", state="erased") == [0, 1]


def test_what_is_no_filter_is_refused(review: Review, manifest: Manifest) -> None:
    with pytest.raises(UsageError, match="order 'nice': expected one of name"):
        rows(review, manifest, "nice")
    with pytest.raises(UsageError, match="state 'nice': expected one of waiting"):
        rows(review, manifest, "name", state="nice")


def test_the_table_has_all_that_is_known_and_no_formulas(
    review: Review, manifest: Manifest
) -> None:
    out = str(manifest.out)
    review.mark(out, 1, "rejected")
    text, first, is_last = "", 0, False
    while not is_last:
        part = review.table(out, {}, "name", first, 4)
        text, first, is_last = text + part["text"], first + 4, part["is_last"]
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["photo"] for line in lines] == [f"00{number}.png" for number in range(6)]
    assert lines[0]["objects"] == "2 person"
    assert (lines[1]["mark"], lines[1]["state"]) == ("rejected", "erased")
    assert lines[2]["reason"] == "'=1+1"
    assert rows(review, manifest, "name", mark="rejected") == [1]


def test_a_photo_is_told_with_its_files(review: Review, manifest: Manifest) -> None:
    told = review.photo(str(manifest.out), 0)
    assert told["photo"] == "000.png"
    assert told["files"]["before"] == str(manifest.root / "000.png")
    assert told["files"]["instances"].endswith("000.png.json")
    assert told["files"]["after"] == ""
