"""A result replaced by a person's: whole, counted once, left alone by whoever comes later."""

import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.cluster.folder_lock import FolderLock
from pconv_hpc.erasing.folder import slice_stages
from pconv_hpc.erasing.folder.ledger import read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.folder.slice_summary import read_done, summarise
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.erasing.stage_programs import Programs
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.inpainting.settings import InpaintSettings
from pconv_hpc.page.review.index import FolderIndex
from pconv_hpc.page.review.members import Members
from pconv_hpc.page.review.redo import Replacement, replace_result
from pconv_hpc.segmentation.instances import PhotoInstances, read_instances, write_instances
from tests.support.drawn_instances import instance, rectangle
from tests.support.erase_folders import account, make_erase_folder
from tests.support.fake_stages import FakeFolder
from tests.support.paths import REPOSITORY
from tests.support.photo_folders import tar_bytes
from tests.support.slice_runs import run, start
from tests.support.waiting import wait_until


@pytest.fixture
def new(tmp_path: Path) -> Replacement:
    """Return a result and a mask, and objects of which one is selected."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a new result")
    Image.fromarray(np.zeros((60, 80), dtype=np.uint8)).save(folder / "mask.png")
    found = (instance(rectangle((5, 30), (5, 25)), "dog"), instance(rectangle((8, 16), (8, 16))))
    objects = PhotoInstances(
        image="000.png",
        width=80,
        height=60,
        num_bytes=1,
        model="m",
        min_score=0.3,
        instances=found,
    )
    write_instances(folder / "instances.json", objects)
    return Replacement(
        result=folder / "a.png",
        mask=folder / "mask.png",
        instances=folder / "instances.json",
        selected=(0,),
    )


def replace(manifest: Manifest, row: int, new: Replacement) -> None:
    index = FolderIndex(manifest.out)
    replace_result(manifest, index.slice_of(row), index.photo(row), new, {})
    index.close()


@pytest.mark.parametrize("row", [0, 1, 2])
def test_whatever_it_was_it_counts_once_as_erased(
    tmp_path: Path, new: Replacement, row: int
) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    account(manifest, 0, "erased", "empty", "failed")
    before = summarise(manifest, 0)
    for _ in range(2):
        replace(manifest, row, new)
    after = summarise(manifest, 0)
    name = f"00{row}.png"
    assert (manifest.erased / name).read_bytes() == b"a new result"
    assert read_instances(manifest.found / "instances" / f"{name}.json").selected == (0,)
    assert (manifest.found / "masks" / f"{name}.png").read_bytes() == new.mask.read_bytes()
    outcome = read_slice(manifest.slice_dir(0)).outcomes[name]
    assert (outcome.status, outcome.classes, outcome.failures) == ("erased", {"dog": 1}, 0)
    assert (before.photos, after.photos) == (3, 3)
    assert after.erased == (1 if row == 0 else 2)
    assert after.erased + after.empty + after.set_aside + after.remaining == 3


def test_a_finished_slice_stays_finished_with_the_new_counts(
    tmp_path: Path, new: Replacement
) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    account(manifest, 0, "erased", "empty", "erased")
    replace(manifest, 1, new)
    done = read_done(manifest.slice_dir(0))
    assert done is not None
    assert (done.erased, done.empty, done.classes) == (3, 0, {"person": 4, "dog": 1})


def test_a_photo_that_is_not_done_waits_for_who_works_on_its_slice(
    tmp_path: Path, new: Replacement
) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    account(manifest, 0, "erased", "", "failed")
    with FolderLock(manifest.slice_dir(0), {}):
        replace(manifest, 0, new)
        for row in (1, 2):
            with pytest.raises(UsageError, match=r"its slice is being worked on .*process"):
                replace(manifest, row, new)
    assert not (manifest.erased / "001.png").exists()
    replace(manifest, 1, new)
    assert summarise(manifest, 0).erased == 2


def test_a_rerun_of_the_slice_does_not_undo_it(
    tmp_path: Path, new: Replacement, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FakeFolder(tmp_path, {"000.png": "star", "001.png": "fail", "002.png": "star"})
    monkeypatch.setattr(slice_stages, "PROGRAMS", folder.programs)
    with Programs() as programs:
        run(folder, programs)
        for row in (0, 1):
            replace(folder.manifest, row, new)
        ending = run(folder, programs)
    assert ending.exit_code == 0
    assert ending.summary.erased == 3
    for name in ("000.png", "001.png"):
        assert (folder.manifest.erased / name).read_bytes() == b"a new result"


def test_it_is_replaced_while_the_slice_runs(tmp_path: Path, new: Replacement) -> None:
    folder = FakeFolder(tmp_path, {"000.png": "star", "001.png": "slow in inpaint"})
    runner = start(folder)
    wait_until(folder.slow_file.exists)
    replace(folder.manifest, 0, new)
    runner.send_signal(signal.SIGTERM)
    runner.communicate(timeout=60)
    folder.wish(folder.manifest.images / "001.png", "star")
    again = start(folder)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert (folder.manifest.erased / "000.png").read_bytes() == b"a new result"
    assert summarise(folder.manifest, 0).erased == 2


_KILLED = """
import os, sys
sys.path.insert(0, {repository!r})
from pathlib import Path
from pconv_hpc.page.review import redo
from pconv_hpc.page.review.process import Review
redo.{step} = lambda *arguments, **options: os.kill(os.getpid(), 9)
Review(scratch={scratch!r}).redo({out!r}, 0, {result!r}, {mask!r}, "", [])
"""


@pytest.mark.parametrize("step", ["write_bytes", "LedgerWriter", "write_done"])
def test_killed_at_any_step_it_can_be_done_again(
    tmp_path: Path, new: Replacement, step: str
) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    account(manifest, 0, "empty", "erased", "erased")
    program = _KILLED.format(
        repository=str(REPOSITORY),
        step=step,
        scratch=str(tmp_path / "scratch"),
        out=str(manifest.out),
        result=str(new.result),
        mask=str(new.mask),
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    target = manifest.erased / "000.png"
    assert not target.exists() or target.read_bytes() == b"a new result"
    replace(manifest, 0, new)
    assert target.read_bytes() == b"a new result"
    assert summarise(manifest, 0).erased == 3


@pytest.fixture
def tar_folder(tmp_path: Path) -> Manifest:
    images = tmp_path / "tars"
    images.mkdir()
    data = {f"{number}.png": b"photo %d" % number for number in range(3)}
    (images / "a.tar").write_bytes(tar_bytes(data))
    manifest = build_manifest(
        images,
        tmp_path / "out",
        num_slices=1,
        settings=EraseSettings(inpaint=InpaintSettings(weights=Path("/w.h5"))),
    )
    account(manifest, 0, "erased", "erased", "empty")
    return manifest


def test_members_of_tar_files_are_found_and_replaced(
    tmp_path: Path, new: Replacement, tar_folder: Manifest
) -> None:
    manifest = tar_folder
    index = FolderIndex(manifest.out)
    members = Members(manifest, tmp_path / "members")
    photo = index.photo(1)
    before = members.find(photo, "before")
    assert before is not None
    assert (before.name, before.read_bytes()) == ("1.png", b"photo 1")
    assert members.find(photo, "after") is None
    replace(manifest, 1, new)
    after = members.find(photo, "after")
    assert after is not None
    assert after.read_bytes() == b"a new result"
    mask = members.find(photo, "mask")
    assert mask is not None
    assert mask.read_bytes() == new.mask.read_bytes()
    with tarfile.open(manifest.erased / "a.tar") as tar:
        assert tar.getnames() == ["0.png", "1.png", "2.png"]
        stream = tar.extractfile("0.png")
        assert stream is not None
        assert stream.read() == b"photo 0"
    index.close()


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=3, num_slices=1)
    index = FolderIndex(manifest.out)
    members = Members(manifest, tmp_path / "members")
    assert members.find(index.photo(0), "before") == manifest.root / "000.png"
    for kind in ("mask", "after", "instances"):
        assert members.find(index.photo(0), kind) is None  # type: ignore[arg-type]
    index.close()
