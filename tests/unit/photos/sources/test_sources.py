"""Sources of photos: folders and tar files list the same keys, and nothing hostile passes."""

import io
import os
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import Interrupted, PconvError, UsageError
from pconv_hpc.foundation.mpi import World
from pconv_hpc.photos.sources import tar_source
from pconv_hpc.photos.sources.folder_source import FolderSource
from pconv_hpc.photos.sources.open_source import TAR_INDEX_NAME, open_source
from pconv_hpc.photos.sources.photo_source import PhotoSource, safe_key
from pconv_hpc.photos.sources.tar_source import TarSource, find_members
from tests.support.photo_folders import photo_bytes, tar_bytes, write_photos, write_tar_of_tars

ALONE = World({})


def open_tar(path: Path) -> PhotoSource:
    return open_source(path, path.parent / "out", ALONE)


def content(source: PhotoSource) -> dict[str, bytes]:
    return {key: source.read(index) for index, key in enumerate(source.keys)}


def test_a_folder_gives_sorted_keys_and_bytes(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 7)
    source = open_source(tmp_path / "photos", tmp_path / "out", ALONE)
    assert source.name == "photos"
    assert source.keys == sorted(photos)
    assert content(source) == photos
    assert source.sizes.tolist() == [len(photos[key]) for key in source.keys]
    assert source.ignored == Counter()
    assert not (tmp_path / "out").exists()


def test_a_folder_counts_what_it_leaves_out(tmp_path: Path) -> None:
    write_photos(tmp_path, 2)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.jpg").write_bytes(photo_bytes(0))
    (tmp_path / "line\nbreak.jpg").write_bytes(photo_bytes(0))
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "n00000000" / "up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    source = FolderSource(tmp_path)
    assert len(source.keys) == 2
    assert source.ignored == {
        "not named like an image": 1,
        "hidden": 1,
        "unsafe name": 1,
        "hidden folder, broken link or special file": 3,
        "link to a folder above it": 1,
    }


def test_a_folder_follows_links(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "real", 2, classes=1)
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "linked").symlink_to(tmp_path / "real" / "n00000000")
    assert list(content(FolderSource(tmp_path / "view")).values()) == list(photos.values())


def test_a_name_that_is_no_utf8_still_opens(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write(photo_bytes(1))
    source = FolderSource(tmp_path)
    assert source.keys == ["caf\\xe9.jpg"]
    assert source.read(0) == photo_bytes(1)


def test_a_photo_that_vanished_is_named(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    source = FolderSource(tmp_path)
    (tmp_path / source.keys[0]).unlink()
    with pytest.raises(PconvError, match=r"n00000000_0\.JPEG: cannot be read"):
        source.read(0)


def test_the_fingerprint_follows_names_and_sizes(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    before = FolderSource(tmp_path).fingerprint
    assert FolderSource(tmp_path).fingerprint == before
    with open(tmp_path / "n00000000" / "n00000000_0.JPEG", "ab") as file:
        file.write(b"\0")
    assert FolderSource(tmp_path).fingerprint != before


def test_a_tar_of_tars_equals_the_folder(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", 11)
    write_tar_of_tars(tmp_path / "ILSVRC2012_img_train.tar", photos)
    source = open_tar(tmp_path / "ILSVRC2012_img_train.tar")
    assert source.name == "ILSVRC2012_img_train.tar"
    assert content(source) == photos
    assert source.keys == sorted(photos)
    assert source.fingerprint == FolderSource(tmp_path / "photos").fingerprint
    source.close()


def test_a_flat_tar(tmp_path: Path) -> None:
    photos = {f"./ILSVRC2012_val_{n:08d}.JPEG": photo_bytes(n) for n in range(5)}
    (tmp_path / "val.tar").write_bytes(tar_bytes(photos))
    found = content(open_tar(tmp_path / "val.tar"))
    assert found == {name.removeprefix("./"): data for name, data in photos.items()}


def test_the_index_is_kept_and_holds_for_this_tar_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.tar"
    first = {"n1/a.jpg": photo_bytes(1), "n2/b.jpg": photo_bytes(2), "n2/c.txt": b""}
    write_tar_of_tars(path, first)
    scanned = open_tar(path)
    with monkeypatch.context() as patched:
        patched.setattr(tar_source, "_scan", lambda *_: pytest.fail("scanned again"))
        again = open_tar(path)
    assert content(again) == content(scanned)
    assert again.ignored == scanned.ignored == {"not named like an image": 1}
    write_tar_of_tars(path, {"n1/other.jpg": photo_bytes(3)})
    assert content(open_tar(path)) == {"n1/other.jpg": photo_bytes(3)}


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    write_tar_of_tars(tmp_path / "train.tar", {"n1/a.jpg": photo_bytes(1)})
    open_tar(tmp_path / "train.tar")
    cache = tmp_path / "out" / TAR_INDEX_NAME
    whole = cache.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(b"n1/a.jpg")] ^= 1
    for damaged in (whole[:300], bytes(flipped), b""):
        cache.write_bytes(damaged)
        assert content(open_tar(tmp_path / "train.tar")) == {"n1/a.jpg": photo_bytes(1)}
        assert cache.read_bytes() == whole


def test_the_index_is_not_saved_when_it_should_not_be(tmp_path: Path) -> None:
    write_tar_of_tars(tmp_path / "train.tar", {"n1/a.jpg": photo_bytes(1)})
    open_source(tmp_path / "train.tar", tmp_path / "out", ALONE, save_index=False)
    assert not (tmp_path / "out").exists()


def test_scanning_stops_when_asked(tmp_path: Path) -> None:
    write_tar_of_tars(tmp_path / "train.tar", {"n1/a.jpg": photo_bytes(1)})
    with pytest.raises(Interrupted):
        open_source(tmp_path / "train.tar", tmp_path, ALONE, should_stop=lambda: True)
    assert not (tmp_path / TAR_INDEX_NAME).exists()


def hostile_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:

        def add(
            name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", link: str = ""
        ) -> None:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(data), link
            tar.addfile(member, io.BytesIO(data))

        add("good/photo.jpg", data=photo_bytes(1))
        add("../escape.jpg", data=photo_bytes(2))
        add("a/../../escape.jpg", data=photo_bytes(2))
        add("/etc/absolute.jpg", data=photo_bytes(2))
        add("new\nline.jpg", data=photo_bytes(2))
        add("x" * 5000 + ".jpg", data=photo_bytes(2))
        add("._good.jpg", data=b"what macOS leaves behind")
        add("folder", tarfile.DIRTYPE)
        add("soft.jpg", tarfile.SYMTYPE, link="/etc/passwd")
        add("hard.jpg", tarfile.LNKTYPE, link="good/photo.jpg")
        add("device.jpg", tarfile.CHRTYPE)
        add("pipe.jpg", tarfile.FIFOTYPE)
        add("readme.txt", data=b"hello")
    return stream.getvalue()


@pytest.mark.parametrize("nested", [False, True])
def test_only_regular_files_with_safe_names_are_read(tmp_path: Path, nested: bool) -> None:
    data = tar_bytes({"n1.tar": hostile_tar()}) if nested else hostile_tar()
    (tmp_path / "train.tar").write_bytes(data)
    source = open_tar(tmp_path / "train.tar")
    prefix = "n1/" if nested else ""
    assert content(source) == {f"{prefix}good/photo.jpg": photo_bytes(1)}
    assert source.ignored == {
        "unsafe name in a tar": 5,
        "link or special file in a tar": 4,
        "hidden": 1,
        "not named like an image": 1,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "train.tar"]


def test_an_unsafe_inner_tar_is_not_entered(tmp_path: Path) -> None:
    inner = tar_bytes({"a.jpg": photo_bytes(1)})
    (tmp_path / "t.tar").write_bytes(tar_bytes({"../n1.tar": inner, "n2.tar": inner}))
    assert open_tar(tmp_path / "t.tar").keys == ["n2/a.jpg"]


@pytest.mark.parametrize("keep", [100, 700, 3000, -3000])
def test_a_truncated_tar_is_refused(tmp_path: Path, keep: int) -> None:
    photos = {f"n{n % 2}/{n}.jpg": photo_bytes(n, height=300, width=400) for n in range(6)}
    path = tmp_path / "train.tar"
    write_tar_of_tars(path, photos)
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[:keep])
    with pytest.raises(UsageError, match=r"train\.tar.*not a whole, uncompressed tar"):
        open_tar(path)
    assert not (tmp_path / "out").exists()


def test_a_damaged_inner_tar_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tar").write_bytes(tar_bytes({"n7.tar": b"not a tar" * 200}))
    with pytest.raises(UsageError, match=r"in n7\.tar: not a whole"):
        open_tar(tmp_path / "t.tar")


def test_an_inner_member_cannot_reach_beyond_its_tar(tmp_path: Path) -> None:
    inner = bytearray(tar_bytes({"a.jpg": b"x" * 100}))
    member = tarfile.TarInfo("a.jpg")
    member.size = 60_000
    inner[:512] = member.tobuf(tarfile.GNU_FORMAT)[:512]
    (tmp_path / "t.tar").write_bytes(tar_bytes({"n1.tar": bytes(inner), "n2.tar": bytes(99_999)}))
    with pytest.raises(UsageError, match=r"in n1\.tar"):
        open_tar(tmp_path / "t.tar")


@pytest.mark.parametrize("size", [-512, -1024, 2**62])
def test_absurd_sizes_in_headers_end_the_scan(tmp_path: Path, size: int) -> None:
    member = tarfile.TarInfo("a.jpg")
    member.size = size
    header = member.tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "t.tar").write_bytes(tar_bytes({"b.jpg": b"x"})[:1024] + header + bytes(2048))
    with pytest.raises(UsageError, match=r"t\.tar"):
        open_tar(tmp_path / "t.tar")


def test_a_long_name_of_absurd_size_ends_the_scan(tmp_path: Path) -> None:
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**62
    (tmp_path / "t.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(UsageError, match=r"t\.tar"):
        open_tar(tmp_path / "t.tar")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_compressed_tar_says_what_to_do(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "t.tar", mode) as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(UsageError, match="uncompressed"):
        open_tar(tmp_path / "t.tar")


def test_a_tar_that_shrank_is_noticed_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    path.write_bytes(tar_bytes({"a.jpg": photo_bytes(1)}))
    source = TarSource(path, find_members(path, tmp_path / "cache.h5", ALONE))
    os.truncate(path, 600)
    with pytest.raises(PconvError, match=r"ends inside a\.jpg"):
        source.read(0)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder or file"):
        open_source(tmp_path / "nowhere", tmp_path, ALONE)


@pytest.mark.parametrize("name", ["", ".", "/", "..", "a/../b", "/a", "a\0b", "a\x1bb", "é" * 2049])
def test_unsafe_names(name: str) -> None:
    assert safe_key(name) is None


@pytest.mark.parametrize(("name", "key"), [("./a//b.jpg", "a/b.jpg"), ("a..b/c", "a..b/c")])
def test_safe_names(name: str, key: str) -> None:
    assert safe_key(name) == key
