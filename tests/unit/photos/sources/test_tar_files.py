"""Tar files in WebDataset's layout: hostile headers, order kept, members replaced."""

import errno
import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.photos.sources.tar_files import list_photos, unpack, write_anew
from tests.support.tar_members import read_tar, write_tar


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


MEMBERS = [
    ("0001.jpg", b"one"),
    ("0001.json", b"{}"),
    ("./b/0002.PNG", b"two"),
    ("b/0002.cls", b"7"),
    ("ünï\n".strip() + "☃" * 60 + ".jpg", b"long"),  # longer than a plain header holds
]


def test_only_photos_of_safe_names_are_listed(tmp_path: Path) -> None:
    hostile = [("../out.jpg", b""), ("/etc/a.jpg", b""), (".hidden/a.jpg", b""), ("a\n.jpg", b"")]
    special = [link("link.jpg", "/etc/passwd"), link("hard.jpg", "0001.jpg", tarfile.LNKTYPE)]
    special += [link("pipe.jpg", "", tarfile.FIFOTYPE), link("folder.jpg", "", tarfile.DIRTYPE)]
    path = write_tar(tmp_path / "a.tar", MEMBERS + hostile, *special)
    assert list_photos(path, Counter()) == {"0001.jpg": 3, "b/0002.PNG": 3, MEMBERS[4][0]: 4}


def test_photos_are_unpacked_whole_and_once(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [*MEMBERS, ("0001.jpg", b"later")])
    folder = tmp_path / "out"
    (folder / "b").mkdir(parents=True)
    (folder / "b/0002.PNG").write_bytes(b"kept")
    unpack(path, ["0001.jpg", "b/0002.PNG"], folder)
    assert (folder / "0001.jpg").read_bytes() == b"later", "the last of two counts"
    assert (folder / "b/0002.PNG").read_bytes() == b"kept"
    assert sorted(p.name for p in folder.rglob("*")) == ["0001.jpg", "0002.PNG", "b"]
    with pytest.raises(UsageError, match=r"gone\.jpg is gone"):
        unpack(path, ["gone.jpg"], folder)
    with pytest.raises(PconvError, match="cannot be written"):
        unpack(path, ["0001.jpg"], folder / "0001.jpg")


def test_a_tar_file_that_cannot_be_read_is_not_taken_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    path = write_tar(tmp_path / "a.tar", MEMBERS)
    monkeypatch.setattr(tarfile.TarFile, "extractfile", lambda *_: Broken())
    for work in (
        lambda: unpack(path, ["0001.jpg"], tmp_path / "out"),
        lambda: write_anew(tmp_path / "b.tar", path, {}),
    ):
        with pytest.raises(UsageError, match=r"a\.tar: not a whole.*Input/output error"):
            work()


def test_members_are_replaced_in_their_order(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", MEMBERS, link("link.jpg", "/etc/passwd"))
    (tmp_path / "new.jpg").write_bytes(b"erased, and longer than before")
    files = {"b/0002.PNG": tmp_path / "new.jpg"}
    output = tmp_path / "out/a.tar"
    write_anew(output, source, files)
    expected = list(MEMBERS)
    expected[2] = ("./b/0002.PNG", b"erased, and longer than before")
    assert read_tar(output) == expected
    with tarfile.open(output) as tar:
        assert {member.mode for member in tar} == {0o640}

    (tmp_path / "new.jpg").write_bytes(b"x")
    write_anew(output, output, {"0001.jpg": tmp_path / "new.jpg", "z/new": tmp_path / "new.jpg"})
    expected[0] = ("0001.jpg", b"x")
    assert read_tar(output) == [*expected, ("z/new", b"x")]
    write_anew(tmp_path / "found.tar", None, {"b": tmp_path / "new.jpg", "a": tmp_path / "new.jpg"})
    assert read_tar(tmp_path / "found.tar") == [("a", b"x"), ("b", b"x")]
    assert list((tmp_path / "out").iterdir()) == [output]


def test_sizes_in_extended_headers_do_not_outlive_the_content(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.jpg")
    member.size, member.pax_headers = 3, {"size": "3", "comment": "kept"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(b"old"))
    (tmp_path / "new").write_bytes(b"longer")
    write_anew(tmp_path / "b.tar", tmp_path / "a.tar", {"a.jpg": tmp_path / "new"})
    assert read_tar(tmp_path / "b.tar") == [("a.jpg", b"longer")]
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.next().pax_headers["comment"] == "kept"  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", ["empty", "text", "gzip", "truncated", "missing", "backwards"])
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.tar"
    write_tar(path, [("a.jpg", b"x" * 5000), ("b.jpg", b"y" * 5000)])
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no tar file" * 100)
    elif damage == "gzip":
        with tarfile.open(path, "w:gz") as tar:
            tar.add(__file__, "a.jpg")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    elif damage == "backwards":
        content = bytearray(path.read_bytes())
        header = tarfile.TarInfo("a.jpg")
        header.size = -512
        content[:512] = header.tobuf(tarfile.GNU_FORMAT)[:512]
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(UsageError, match=r"a\.tar: not a whole, uncompressed tar file"):
        list_photos(path, Counter())
    files = {"a.jpg": Path(__file__)}
    with pytest.raises(UsageError, match=r"a\.tar"):
        write_anew(tmp_path / "out.tar", path, files)
    assert not (tmp_path / "out.tar").exists()
