"""Slices of tar files: never divided, unpacked one at a time, written anew whole."""

import errno
import io
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pconv_hpc.erasing.folder import slice_stages
from pconv_hpc.erasing.folder.manifest import build_manifest
from pconv_hpc.erasing.folder.slice_runner import SliceRunner, forgive_failures
from pconv_hpc.erasing.folder.slice_summary import summarise
from pconv_hpc.erasing.settings import EraseSettings, Resources
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.foundation.disk_space import OutputError
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.photos.sources import tar_files
from pconv_hpc.segmentation.settings import SegmentSettings
from tests.support.assets.shape_photos import CLASSES, ShapePhotos
from tests.support.fake_tars import FakeTars
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import ASSETS
from tests.support.slice_runs import run, start
from tests.support.tar_members import read_tar, write_tar
from tests.support.waiting import wait_until

SETTINGS = EraseSettings()


@pytest.fixture
def programs() -> Iterator[Programs]:
    with Programs() as programs:
        yield programs


def test_tar_files_are_erased_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    tars = {
        "a.tar": [("1.json", "{}"), ("1.jpg", "star"), ("2.jpg", "empty"), ("3.jpg", "fail")],
        "b/c.tar": [("sub/1.png", "star"), ("notes.txt", "mine")],
    }
    folder = FakeTars(tmp_path, tars)
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    assert folder.manifest.inputs == "tar"
    assert run(folder, programs).exit_code == 1
    assert folder.erased("b/c.tar") == [("sub/1.png", "erased"), ("notes.txt", "mine")]
    assert not (folder.manifest.erased / "a.tar").exists(), "one of its photos has chances left"
    assert {call[2][0] for call in folder.calls()} == {"a.tar/1.jpg", "b/c.tar/sub/1.png"}

    stamp = (folder.manifest.erased / "b/c.tar").stat()
    assert [run(folder, programs).exit_code for _ in range(3)] == [1, 0, 0]
    assert (folder.manifest.erased / "b/c.tar").stat() == stamp
    assert folder.erased("a.tar") == [
        ("1.json", "{}"),
        ("1.jpg", "erased"),
        ("2.jpg", "empty"),  # as it was
        ("3.jpg", "fail"),
    ]
    assert [name for name, _ in read_tar(folder.manifest.found / "a.tar")] == ["masks/1.jpg.png"]
    assert folder.unpacked() == []
    summary = summarise(folder.manifest, 0)
    assert (summary.erased, summary.empty, summary.set_aside) == (2, 1, 1)


def test_photos_that_are_forgiven_join_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = FakeTars(tmp_path, {"a.tar": [("1.jpg", "star"), ("2.jpg", "fail"), ("3", "x")]})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    assert [run(folder, programs).exit_code for _ in range(3)] == [1, 1, 0]
    assert forgive_failures(folder.manifest, 0, {}) == 1
    write_tar(tmp_path / "tars/a.tar", [("1.jpg", b"star"), ("2.jpg", b"star"), ("3", b"x")])
    assert run(folder, programs).exit_code == 0
    assert folder.erased("a.tar") == [("1.jpg", "erased"), ("2.jpg", "erased"), ("3", "x")]
    found = [name for name, _ in read_tar(folder.manifest.found / "a.tar")]
    assert found == ["masks/1.jpg.png", "masks/2.jpg.png"]
    assert folder.unpacked() == []


def test_a_killed_task_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    wishes = [(f"{index}.jpg", "star") for index in range(8)]
    wishes[5] = ("5.jpg", "slow in inpaint")
    folder = FakeTars(tmp_path, {"a.tar": [("0.jpg", "star")], "b.tar": wishes})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    runner = start(folder)
    wait_until(folder.slow_file.exists, runner)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    stamp = (folder.manifest.erased / "a.tar").stat()
    (folder.manifest.out / "unpacked/images/b.tar/5.jpg").write_text("star")
    torn = [root / ".b.tar.gone.7.tmp" for root in (folder.manifest.erased, folder.manifest.found)]
    another = folder.manifest.erased / ".c.tar.gone.7.tmp"
    for path in (*torn, another):
        path.touch()
    assert run(folder, programs).exit_code == 0
    assert (folder.manifest.erased / "a.tar").stat() == stamp
    assert folder.erased("b.tar") == [(f"{index}.jpg", "erased") for index in range(8)]
    assert folder.unpacked() == []
    assert not any(path.exists() for path in torn)
    assert another.exists(), "it may be another slice's, which is at work"


def test_a_tar_file_that_is_damaged_later_fails_its_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    folder = FakeTars(tmp_path, {"a.tar": [("1.jpg", "star")], "b.tar": [("1.jpg", "star")]})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    (tmp_path / "tars/a.tar").write_bytes(b"no tar")
    ending = run(folder, programs)
    assert ending.exit_code == 1
    assert "not a whole, uncompressed tar file" in next(iter(ending.summary.reasons))
    assert folder.erased("b.tar") == [("1.jpg", "erased")]


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("module", "function", "file"),
    [
        (tar_files.shutil, "copyfileobj", "unpacked/images/a.tar"),
        (tarfile.TarFile, "addfile", "found/a.tar"),
    ],
)
def test_a_full_disk_stops_the_task_and_is_no_photos_fault(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: Programs,
    module: object,
    function: str,
    file: str,
) -> None:
    folder = FakeTars(tmp_path, {"a.tar": [("1.jpg", "star"), ("2.jpg", "empty")]})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    with monkeypatch.context() as patch:
        patch.setattr(module, function, no_room)
        with pytest.raises(OutputError, match=rf"{file}: cannot be written \(No space left") as met:
            run(folder, programs)
    assert met.value.exit_code == 2
    assert summarise(folder.manifest, 0).reasons == {}
    assert run(folder, programs).exit_code == 0
    assert folder.erased("a.tar") == [("1.jpg", "erased"), ("2.jpg", "empty")]


def test_with_the_real_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    supply = ShapePhotos(seed=5, held_out=True, size=112)
    members, with_star = [("0.json", b"{}")], set()
    for index in range(5):
        stream = io.BytesIO()
        Image.fromarray(supply[index].image).save(stream, "PNG")
        members.append((f"☃ {index}.png", stream.getvalue()))
        if CLASSES.index("star") in supply[index].labels:
            with_star.add(f"☃ {index}.png")
    assert 0 < len(with_star) < 5
    write_tar(tmp_path / "tars/a.tar", members)
    settings = EraseSettings(
        segment=SegmentSettings(
            config=str(ASSETS / "small_mask_rcnn.py"),
            checkpoint=ASSETS / "small_mask_rcnn.pth",
            classes=("star",),
            overlay=True,
        ),
        inpaint=InpaintSettings(weights=save_tiny_weights(tmp_path / "w.h5", image_size=64)),
        resources=Resources(device="cpu"),
    )
    manifest = build_manifest(tmp_path / "tars", tmp_path / "out", num_slices=1, settings=settings)
    assert SliceRunner(manifest, 0, programs, environment={}).run().exit_code == 0
    after = read_tar(manifest.erased / "a.tar")
    assert [name for name, _ in after] == [name for name, _ in members]
    changed = {new[0] for new, old in zip(after, members, strict=True) if new != old}
    assert changed == with_star
    found = {name for name, _ in read_tar(manifest.found / "a.tar")}
    assert {name for name in found if name.startswith("masks/")} == {
        f"masks/{name}.png" for name in with_star
    }
    assert len(found) == len(with_star) + 2 * 5  # and instances and overlays of every photo


def test_slices_never_divide_a_tar_file(tmp_path: Path) -> None:
    tars = {f"{name}.tar": [(f"{i}.jpg", "star") for i in range(5)] for name in "abcdefg"}
    tars["a.tar-b.tar"] = [("1.jpg", "star"), ("1.jpg", "empty")]  # of two names the last counts
    manifest = FakeTars(tmp_path, tars, num_slices=3).manifest
    slices = [[row.tar for row in manifest.photos(k)] for k in range(3)]
    assert all(slices)
    assert not set(slices[0]) & set(slices[1])
    assert not set(slices[1]) & set(slices[2])
    assert sum(map(len, slices)) == manifest.num_photos == 7 * 5 + 1


def test_one_tar_file(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("1.jpg", b"x")])
    manifest = build_manifest(tmp_path / "a.tar", tmp_path / "out", num_slices=1, settings=SETTINGS)
    assert [(row.photo, row.tar) for row in manifest.photos(0)] == [("a.tar/1.jpg", "a.tar")]
    assert manifest.root == tmp_path


def test_what_tar_files_cannot_have_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "tars/a.tar", [("1.jpg", b"x")])
    write_tar(tmp_path / "empty/a.tar", [("1.txt", b"x")])
    write_tar(tmp_path / "both/a.tar", [("1.jpg", b"x")])
    (tmp_path / "both/b.jpg").touch()
    skip = EraseSettings(empty="skip")
    for images, settings, message in (
        ("tars", skip, "cannot be left out; use --empty copy"),
        ("empty", SETTINGS, "no photos in it"),
        ("both", SETTINGS, "both photos and tar files"),
    ):
        with pytest.raises(UsageError, match=message):
            build_manifest(tmp_path / images, tmp_path / "out", num_slices=1, settings=settings)
    assert list((tmp_path / "out").iterdir()) == []
