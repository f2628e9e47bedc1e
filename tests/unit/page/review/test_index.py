"""The photos of an erase folder: filtered, sorted, and taken up anew as they change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.page.review.index import Filter, FolderIndex, state_of
from tests.support.erase_folders import account, make_erase_folder
from tests.support.waiting import wait_until


@pytest.fixture
def index(tmp_path: Path) -> Iterator[FolderIndex]:
    manifest = make_erase_folder(tmp_path)  # 12 photos in 4 slices
    account(manifest, 0, "erased", "empty", "erased")
    account(manifest, 1, "failed", "", "erased", reason="a reason")
    index = FolderIndex(manifest.out)
    wait_until_read(index)
    yield index
    index.close()


def wait_until_read(index: FolderIndex, generation: int = 4) -> None:
    wait_until(lambda: index.num_read >= index.num_slices and index.generation >= generation)


def rows(index: FolderIndex, order: str = "name", **wanted: str) -> list[int]:
    return [int(row) for row in index.rows(Filter(**wanted), order)]  # type: ignore[arg-type]


def test_photos_are_filtered_and_sorted(index: FolderIndex) -> None:
    assert rows(index) == list(range(12))
    assert rows(index, state="erased") == [0, 2, 5]
    assert rows(index, state="failed") == [3]
    assert rows(index, state="waiting") == [4, 6, 7, 8, 9, 10, 11]
    assert rows(index, object_class="person") == [0, 2, 5]
    assert rows(index, object_class="dog") == []
    assert rows(index, reason="a reason") == [3]
    assert rows(index, "newest")[0] in (3, 5)  # within one thousandth of a second
    assert rows(index, "oldest")[0] in (0, 1, 2)
    assert rows(index, "most")[:3] == [0, 2, 5]
    assert list(index.rows(Filter(rows=(5, 1), state="erased"), "name")) == [5]
    assert index.counts() == {"waiting": 7, "erased": 3, "empty": 1, "failed": 1, "set aside": 0}
    assert index.classes() == ["person"]
    assert index.reasons() == ["a reason"]


def test_a_row_is_a_photo_and_its_outcome(index: FolderIndex) -> None:
    assert [index.photo(row).photo for row in (0, 7, 11)] == ["000.png", "007.png", "011.png"]
    assert [index.slice_of(row) for row in (0, 2, 3, 11)] == [0, 0, 1, 3]
    assert state_of(index.outcome(3)) == "failed"
    assert state_of(index.outcome(11)) == "waiting"
    for row in (-1, 12):
        with pytest.raises(UsageError, match="there are 12"):
            index.photo(row)


def test_what_changes_is_taken_up(index: FolderIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    account(index.manifest, 2, "erased", "erased", "erased")
    assert state_of(index.outcome(6)) == "erased"
    wait_until_read(index, generation=5)
    assert rows(index, state="erased") == [0, 2, 5, 6, 7, 8]


def test_empty_slices_are_passed_over(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=7)
    index = FolderIndex(manifest.out)
    photos = [index.photo(row).photo for row in range(3)]
    assert photos == ["000.png", "001.png", "002.png"]
    index.close()
