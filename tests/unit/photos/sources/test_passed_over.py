"""What is no photo is counted by kind, whoever lists the folder."""

import os
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.erasing.folder.photo_listing import list_work
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.inpainting.pairs import pair_files
from pconv_hpc.photos.sources.open_source import open_source
from pconv_hpc.photos.sources.passed_over import kind_of, list_kinds
from pconv_hpc.segmentation.photo_places import find_photos

OTHERS = ["IMG_1.CR2", "b/IMG_2.nef", "clip.MOV", "a.jpg.xmp", "art.psd", "notes.txt", "._a.jpg"]
FOUND = {
    "raw photos (develop them to TIFF or JPEG first)": 2,
    "videos": 1,
    "sidecar files": 1,
    "pictures of other formats (convert them to PNG, TIFF or JPEG first)": 1,
    "not named like an image": 1,
    "hidden": 1,
}
LINKED = {"linked folders (name them themselves: links are not followed)": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for name in OTHERS:
        (folder / name).write_bytes(b"x")
    Image.new("RGB", (40, 40)).save(folder / "a.jpg")
    (tmp_path / "elsewhere").mkdir()
    (folder / "album").symlink_to(tmp_path / "elsewhere")
    return folder


def test_by_segmenting_erasing_and_inpainting(folder: Path, tmp_path: Path) -> None:
    out, others = tmp_path / "out", Counter[str]()
    assert find_photos(folder, out, others) == (folder, ["a.jpg"])
    assert others == FOUND | LINKED

    others = Counter()
    assert [row.photo for row in list_work(folder, out, passed_over=others)] == ["a.jpg"]
    assert others == FOUND | LINKED

    masks = tmp_path / "masks"
    masks.mkdir()
    Image.new("L", (40, 40)).save(masks / "a.png")
    (masks / "a.json").write_text("{}")
    pairing = pair_files(folder, masks, out)
    assert pairing.passed_over == {folder: FOUND | LINKED, masks: {"sidecar files": 1}}


def test_by_whoever_opens_a_source(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere" / "c.jpg").write_bytes(b"x")  # here links are followed
    source = open_source(folder, tmp_path, World())
    assert (source.keys, source.ignored) == (["a.jpg", "album/c.jpg"], FOUND)
    told = capsys.readouterr().err
    assert told.startswith("photos: left out: hidden: 1, not named like an image: 1, pictures of")
    assert "raw photos (develop them to TIFF or JPEG first): 2" in told


def test_in_tar_files(folder: Path, tmp_path: Path) -> None:
    tars = tmp_path / "tars"
    tars.mkdir()
    with tarfile.open(tars / "1.tar", "w") as tar:
        for name in ["a.jpg", *OTHERS]:
            tar.add(folder / name, name)
    others = Counter[str]()
    assert [row.photo for row in list_work(tars, tmp_path / "out", passed_over=others)] == [
        "1.tar/a.jpg"
    ]
    assert others == FOUND


def test_a_folder_of_others_alone_and_odd_entries(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "x.dng").write_bytes(b"x")
    with pytest.raises(UsageError, match="links to folders or special files named like photos: 1"):
        list(list_work(folder, tmp_path / "out"))
    (folder / "pipe.jpg").unlink()
    with pytest.raises(UsageError, match=r"no photos in it .*raw photos \(develop.*: 1"):
        find_photos(folder, tmp_path / "out")


def test_kinds() -> None:
    assert kind_of("no suffix") == kind_of("a.txt") == "not named like an image"
    assert kind_of("a/B.MP4") == "videos"
    assert list_kinds(Counter({"videos": 1200, "hidden": 0})) == "videos: 1,200"
