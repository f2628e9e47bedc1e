"""The hostile corpus through every program that goes through a folder of photos.

No crash, no traceback, no endless wait, nothing outside the output folder, a reason that names the
file, and the rest of the batch done. Hostile tars are in
``tests/unit/photos/sources/test_sources.py``, clicks outside the picture in
``tests/unit/segmentation/test_selection.py``.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.text import printable
from pconv_hpc.masks.label_maps import read_labels
from pconv_hpc.photos.decode import ImageError, decode_rgb
from pconv_hpc.shards.shard_file import ShardReader, read_rejected
from tests.integration.faults.hostile_corpus import Item, encoded, small_photo, write_photos
from tests.integration.faults.running_training import obeying_modes
from tests.support.inpainting_files import save_tiny_weights
from tests.support.paths import REPOSITORY

PEAK_MIB = 300  # a bomb would take thousands


@dataclass(frozen=True)
class Corpus:
    """The folder, what is in it, and an empty folder that programs are run in."""

    photos: Path
    items: list[Item]
    working_dir: Path

    def names(self, *, listed: bool = True) -> list[str]:
        return [item.name for item in self.items if item.listed or not listed]

    def run(self, *command: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program that may not ignore modes; it must leave its working folder empty."""
        done = subprocess.run(
            [*obeying_modes(), sys.executable, *map(str, command)],
            cwd=self.working_dir,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8:strict"},
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=500,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert list(self.working_dir.iterdir()) == []
        return done


# Masks that are not quite masks, by the photo they are for, and why they are refused if they are.
ODD_MASKS: dict[str, tuple[np.ndarray | None, str | None]] = {
    "mask_missing.jpg": (None, "photos have no mask and are left alone"),
    "mask_of_another_size.jpg": (np.zeros((9, 9), np.uint8), "9 x 9"),
    "mask_all_white.jpg": (np.full((48, 64), 255, np.uint8), "nothing is left"),
    "mask_gray.jpg": (np.full((48, 64), 90, np.uint8), "brightest pixel of this mask is 90"),
    "mask_all_black.jpg": (np.zeros((48, 64), np.uint8), None),
    "mask_inverted.jpg": (np.pad(np.zeros((8, 24), np.uint8), 20, constant_values=255), None),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("hostile")
    (root / "working_dir").mkdir()
    items = write_photos(root / "photos")
    for name in ODD_MASKS:
        (root / "photos" / name).write_bytes(encoded(small_photo(), "JPEG"))
        items.append(Item(name))
    return Corpus(root / "photos", items, root / "working_dir")


def snapshot(folder: Path) -> set[tuple[str, int]]:
    """Return what lies in a folder, and when it was written."""
    return {(str(p), p.lstat().st_mtime_ns) for p in folder.rglob("*")}


@contextlib.contextmanager
def set_aside(path: Path) -> Iterator[None]:
    """Take a file out of its folder while the block runs."""
    aside = path.parent.with_name(path.name)
    path.rename(aside)
    yield
    aside.rename(path)


def test_every_reader_reads_or_gives_a_reason(corpus: Corpus) -> None:
    done = corpus.run(
        *("-m", "tests.integration.faults.read_photos", corpus.photos),
        stdin=json.dumps(corpus.names(listed=False)),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for item in corpus.items:
        for reader, outcomes in report["outcomes"].items():
            reason = outcomes[item.name]
            if reader != "read_mask":  # photos make odd masks, some of which are refused as dark
                expected = item.edits if reader == "read_photo" else item.decodes
                assert (reason is None) == expected, f"{reader} {item.name!r}: {reason}"
            if reason is not None:
                assert item.name in reason
    assert report["peak_mib"] < PEAK_MIB


def test_packing_takes_what_can_be_read_and_lists_the_rest(corpus: Corpus, tmp_path: Path) -> None:
    before = snapshot(corpus.photos)
    options = ("--split", "train", "--size", 32, "--max-rejected", 1)
    done = corpus.run(REPOSITORY / "tools/pack.py", corpus.photos, tmp_path / "stopped", *options)
    assert done.returncode == 1, "which photos are packed must not depend on who may read them"
    assert f"{corpus.photos}/unreadable.jpg: cannot be read (Permission denied)" in done.stderr
    with set_aside(corpus.photos / "unreadable.jpg"):
        done = corpus.run(REPOSITORY / "tools/pack.py", corpus.photos, tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    assert snapshot(corpus.photos) == before
    with ShardReader(tmp_path / "out") as reader:
        packed = {reader.key(index) for index in range(reader.num_images)}
        rejected = dict(
            pair for s in reader.index.shards for pair in read_rejected(tmp_path / "out" / s.file)
        )
    listed = {item.name: item.decodes for item in corpus.items if item.listed}
    del listed["unreadable.jpg"]
    assert packed == {printable(name) for name, decodes in listed.items() if decodes}
    assert set(rejected) == {printable(name) for name, decodes in listed.items() if not decodes}
    assert all(rejected.values())


def write_masks(corpus: Corpus, folder: Path) -> None:
    """Write a mask with a hole for each photo of the corpus."""
    folder.mkdir()
    for item in corpus.items:
        hole = np.zeros((48, 64), np.uint8)
        with contextlib.suppress(ImageError):
            hole = np.zeros(decode_rgb(corpus.photos / item.name).shape[:2], np.uint8)
        hole[hole.shape[0] // 3 : hole.shape[0] // 2] = 255
        mask, _ = ODD_MASKS.get(item.name, (hole, None))
        if mask is not None:
            Image.fromarray(mask).save(folder / f"{item.name}.png")


def test_erasing_does_all_that_can_be_done(corpus: Corpus, tmp_path: Path) -> None:
    weights, masks, out = tmp_path / "weights.h5", tmp_path / "masks", tmp_path / "out"
    save_tiny_weights(weights, image_size=64)
    write_masks(corpus, masks)
    before = snapshot(tmp_path), snapshot(corpus.photos)
    done = corpus.run(
        REPOSITORY / "tools/inpaint.py", corpus.photos, masks, out, "--weights", weights
    )
    assert done.returncode == 1, done.stderr
    refused = {name: reason for name, (_, reason) in ODD_MASKS.items() if reason}
    for item in corpus.items:
        erased = item.edits and item.name not in refused
        assert (out / item.name).is_file() == erased, item.name
        if not erased and item.name != "folder.jpg":
            [line] = [x for x in done.stderr.splitlines() if f"/{printable(item.name)}" in x]
            assert refused.get(item.name, "failed") in line
    assert snapshot(corpus.photos) == before[1]
    assert {entry for entry in snapshot(tmp_path) if not entry[0].startswith(str(out))} == before[0]


def test_listing_photos_to_segment_names_them_all(corpus: Corpus, tmp_path: Path) -> None:
    done = corpus.run(REPOSITORY / "tools/segment.py", corpus.photos, tmp_path / "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    for item in corpus.items:
        assert item.name == "folder.jpg" or f"/{item.name}\n" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("program", ["inpaint", "segment", "pack"])
def test_a_folder_nobody_may_list_is_no_empty_folder(
    corpus: Corpus, tmp_path: Path, program: str
) -> None:
    photos, closed = tmp_path / "photos", tmp_path / "photos/closed"
    closed.mkdir(parents=True)
    for path in (photos / "a.png", photos / "a_mask.png"):
        path.write_bytes(encoded(small_photo(), "PNG"))
    closed.chmod(0)
    between = {"inpaint": [photos], "segment": [], "pack": []}[program]
    options = ["--split", "val"] if program == "pack" else []
    done = corpus.run(
        *(
            REPOSITORY / f"tools/{program}.py",
            photos,
            *between,
            tmp_path / "out",
            *options,
            "--dry-run",
        )
    )
    closed.chmod(0o700)
    assert done.returncode == 2
    assert f"{closed}: cannot be listed (Permission denied)" in done.stderr


def test_label_maps_are_read_or_refused_by_name(corpus: Corpus) -> None:
    read, reasons = [], {}
    for name in corpus.names(listed=False):
        path = corpus.photos / name
        try:
            read.append((name, read_labels(path).dtype))
        except UsageError as error:
            reasons[name] = str(error)
    assert all(name in reason for name, reason in reasons.items())
    # what is called .jpg and is none is read for what it is; animations and photos are label maps
    assert {"palette.png", "gray16.png", "really_a_png.jpg"} <= {name for name, _ in read}
    assert {dtype for _, dtype in read} == {np.dtype(np.int32)}
    assert not {"bomb.png", "pipe.jpg", "zeros.png", "plain.jpg"} & {name for name, _ in read}
