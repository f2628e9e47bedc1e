"""Lists as people and other programs write them, matched with what is on disk."""

import os
import unicodedata
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.photos.sources.named_photos import read_list, relative_name
from pconv_hpc.photos.sources.sorted_listing import PhotoRow

NFC = unicodedata.normalize("NFC", "é/ö ü.jpg")
NFD = unicodedata.normalize("NFD", NFC)


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def listed(folder: Path, content: str | bytes, name: str = "list.txt") -> list[str]:
    path = folder.parent / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_list(path, folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_of_any_program(tmp_path: Path, encoding: str, end: str) -> None:
    folder = write(tmp_path / "in", "a/b.jpg", "c d.jpg", "ä.jpg", " blank .jpg")
    lines = ["./a//b.jpg", "", f"{folder.absolute()}/ä.jpg ", " c d.jpg", " blank .jpg", "a/b.jpg"]
    found = listed(folder, end.join(lines).encode(encoding))
    assert found == ["a/b.jpg", "ä.jpg", "c d.jpg", " blank .jpg"]


@pytest.mark.parametrize(("on_disk", "written"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_letters_that_look_alike_are_alike(tmp_path: Path, on_disk: str, written: str) -> None:
    assert listed(write(tmp_path / "in", on_disk), written) == [on_disk]


def test_a_line_that_matches_nothing_shows_the_nearest(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", "2024/IMG_0001.JPG", "beach.jpg")
    with pytest.raises(UsageError) as refused:
        listed(folder, "beach.jpg\n\nbaech.jpg\nIMG_0001.JPG\n2024\nzzzzz.png\n")
    assert [line.removeprefix(f"{tmp_path}/") for line in str(refused.value).splitlines()] == [
        f"list.txt, line 3: no photo baech.jpg in {folder}; the nearest is beach.jpg",
        f"list.txt, line 4: no photo IMG_0001.JPG in {folder}; the nearest is 2024/IMG_0001.JPG",
        f"list.txt, line 5: no photo 2024 in {folder}",
        f"list.txt, line 6: no photo zzzzz.png in {folder}",
    ]


def test_a_link_to_nothing_is_somebodys_photo(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", "a.jpg")
    (folder / "b.jpg").symlink_to("gone")
    assert listed(folder, "b.jpg") == ["b.jpg"]


def test_a_list_of_rows_holds_every_name(tmp_path: Path) -> None:
    names = ["two\nlines.jpg", "-a.jpg", os.fsdecode(b"latin\xe4.jpg"), "odd\x85\u2028.jpg", NFD]
    (tmp_path / "in").mkdir()  # photos that are gone meanwhile fail alone
    rows = [PhotoRow(name, 1).to_json() for name in names]
    assert listed(tmp_path / "in", "\ufeff" + "\n".join(rows) + "\n", "todo.jsonl") == names


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", ".", "in/.."])
def test_no_list_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "in", "a.jpg")
    with pytest.raises(UsageError, match=r"list\.txt, line 2: .* leads out of"):
        listed(folder, f"a.jpg\n{name}\n")
    with pytest.raises(UsageError, match="leads out of"):
        listed(folder, PhotoRow(name, 1).to_json(), "list.jsonl")
    with pytest.raises(UsageError, match="leads out of"):
        relative_name(str(folder / name), None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"\n \n", "names no photos"),
        ("latin.txt", b"\xe4.jpg\n", "not text"),
        ("bare utf-16.txt", "a.jpg".encode("utf-16-le"), "UTF-16 with a BOM"),
        ("torn utf-16.txt", b"\xff\xfea", "not text"),
        ("torn.jsonl", b'{"photo": "a.', "line 1: not a list of paths"),
        ("other.jsonl", b'{"image": "a.jpg"}', "line 1: not a list of paths"),
    ],
)
def test_what_is_no_list(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder = write(tmp_path / "in", "a.jpg")
    with pytest.raises(UsageError, match=rf"{name}.*{message}"):
        listed(folder, content, name)


def test_a_list_needs_a_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.txt: cannot be read"):
        read_list(tmp_path / "none.txt", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        read_list(tmp_path / "list.txt", tmp_path / "none")
