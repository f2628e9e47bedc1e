"""A coverage-guided fuzzer of the readers of images, configurations, manifests and ledgers.

    python -m tests.integration.faults.fuzz images|configurations|manifests|ledgers FOLDER RUNS SEED

FOLDER holds the corpus, which grows by each input that reached new code. Whatever is raised beside
the error that a user sees ends the process, and so do a crash, a hang and 2 GiB of memory; the
input is then kept in FOLDER as ``crash-…``.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import resource
import sys
from pathlib import Path

import atheris
import numpy as np

from tests.support.paths import REPOSITORY

with atheris.instrument_imports(include=["pconv_hpc", "PIL", "pillow_heif", "tifffile", "yaml"]):
    from pconv_hpc.cluster.folder_lock import LOCK_NAME, read_holder
    from pconv_hpc.erasing.folder.ledger import LedgerWriter, SliceLedger, read_slice
    from pconv_hpc.erasing.folder.manifest import (
        MANIFEST_NAME,
        PHOTOS_NAME,
        Manifest,
        read_manifest,
    )
    from pconv_hpc.erasing.folder.slice_summary import DONE_NAME, read_done
    from pconv_hpc.erasing.settings import EraseSettings
    from pconv_hpc.foundation.config import config_to_yaml, load_config
    from pconv_hpc.foundation.errors import UsageError
    from pconv_hpc.photos.decode import ImageError, decode_rgb, decode_square
    from pconv_hpc.photos.formats.photo_files import read_mask, read_photo, write_photo
    from pconv_hpc.photos.photo import Box, Photo
    from pconv_hpc.photos.sources.named_photos import read_list
from pconv_hpc.photos.sources.sorted_listing import PhotoRow
from pconv_hpc.segmentation.choices import read_choices
from pconv_hpc.segmentation.selection import Selection
from tests.integration.faults.hostile_corpus import photo_files
from tests.integration.faults.hostile_yaml import HOSTILE_YAML

MAX_PIXELS = 1 << 18
BETWEEN_FILES = b"\x1e"  # ASCII's record separator: one input is several files
_LIMITS = ["-timeout=120", "-print_final_stats=1"]
_MEMORY_MIB = 2048


class Images:
    """Every reader of images on one file; a photo is erased, written and read again."""

    max_bytes = 4096

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / "image"
        self._copy = scratch / "copy"

    def seeds(self) -> list[bytes]:
        """Return small files of every format, whole and damaged."""
        return [data for data in photo_files().values() if len(data) <= self.max_bytes]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` in every way."""
        self._path.write_bytes(data)
        for read in (
            lambda: decode_rgb(data, max_pixels=MAX_PIXELS),
            lambda: decode_square(data, 16, max_pixels=MAX_PIXELS),
            lambda: read_mask(self._path, max_pixels=MAX_PIXELS),
        ):
            with contextlib.suppress(ImageError):
                read()
        with contextlib.suppress(ImageError):
            photo = read_photo(self._path, max_pixels=MAX_PIXELS)
            box = Box(0, 0, min(photo.height, 9), min(photo.width, 9))
            gray = np.full((box.height, box.width, 3), 0.5, np.float32)
            photo.write_rgb(box, gray, np.ones(gray.shape[:2], dtype=bool))
            write_photo(photo, self._copy)
            again = read_photo(self._copy, max_pixels=MAX_PIXELS)
            same = again.pixels.shape == photo.pixels.shape and (
                photo.format in ("JPEG", "HEIF", "AVIF") or not _changed(photo, again).any()
            )
            assert same, "written back, it is another photo"


def _changed(before: Photo, after: Photo) -> np.ndarray:
    """Return where pixels differ that the format keeps; a GIF's hole has colours of its palette."""
    changed: np.ndarray = (before.pixels != after.pixels).any(axis=2)
    return changed & ~before.erased if before.format == "GIF" else changed


class Configurations:
    """The reader of configurations; what it accepts is written out and must read back the same."""

    max_bytes = 2048

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / "config.yaml"
        self._copy = scratch / "copy.yaml"

    def seeds(self) -> list[bytes]:
        """Return the shipped configurations, and hostile ones."""
        files = [path.read_bytes() for path in sorted((REPOSITORY / "configs").glob("*.yaml"))]
        files += [text.format(trap="/nowhere").encode() for text in HOSTILE_YAML.values()]
        return [data for data in files if len(data) <= self.max_bytes]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` as a configuration."""
        self._path.write_bytes(data)
        with contextlib.suppress(UsageError):
            config = load_config(self._path)
            self._copy.write_text(config_to_yaml(config))
            assert load_config(self._copy) == config, "written out, it is another configuration"


class Manifests:
    """The readers of a manifest and its list of photos: no path leads out, nor cannot be opened."""

    max_bytes = 4096

    def __init__(self, scratch: Path) -> None:
        self._out = scratch

    def seeds(self) -> list[bytes]:
        """Return a manifest of two slices and its list, of a folder and of a tar file."""
        settings = {
            "segment": {"checkpoint": "/c.pth", "config": None, "clicks": [[3, 4]], "box": None},
            "inpaint": {"weights": "/w.h5", "strategy": "full", "rim": 2},
            "resources": {"threads": 2},
            "empty": "copy",
        }
        seeds = []
        for inputs, rows in (
            ("folder", [PhotoRow("a/b.jpg", 7), PhotoRow(os.fsdecode(b"\xff\n.png"), 9)]),
            ("tar", [PhotoRow("t.tar/1.jpg", 7, "t.tar"), PhotoRow("t.tar/2.jpg", 9, "t.tar")]),
        ):
            lines = [f"{row.to_json()}\n" for row in rows]
            slices = [
                {"first": 0, "num_photos": 1, "offset": 0, "num_bytes": 7},
                {"first": 1, "num_photos": 1, "offset": len(lines[0]), "num_bytes": 9},
            ]
            manifest = {"format": "pconv_hpc erase manifest", "version": 2, "settings": settings}
            manifest |= {"images": "/photos", "inputs": inputs, "slices": slices}
            manifest |= {"num_photos": 2, "num_bytes": 16}
            seeds.append(json.dumps(manifest).encode() + BETWEEN_FILES + "".join(lines).encode())
        return seeds

    def __call__(self, data: bytes) -> None:
        """Read ``data`` as a manifest and a list of photos."""
        manifest_file, _, photos_file = data.partition(BETWEEN_FILES)
        (self._out / MANIFEST_NAME).write_bytes(manifest_file)
        (self._out / PHOTOS_NAME).write_bytes(photos_file)
        with contextlib.suppress(UsageError):
            manifest = read_manifest(self._out)
            word = manifest.settings.word.removeprefix("--settings=")
            assert EraseSettings.from_word(word) == manifest.settings
            for path in (manifest.images, manifest.settings.inpaint.weights):
                path.exists()
            for number in range(min(manifest.num_slices, 4)):
                self._read_slice(manifest, number)

    def _read_slice(self, manifest: Manifest, number: int) -> None:
        with contextlib.suppress(UsageError):
            for row in itertools.islice(manifest.photos(number), 100):
                assert PhotoRow.from_json(row.to_json()) == row
                path = Path(os.path.normpath(self._out / row.photo))
                assert path.is_relative_to(self._out), "it leads out of the folder"
                with contextlib.suppress(OSError):
                    path.stat()


class Ledgers:
    """The readers of a slice's ledger, summary and lock; a row written after damage counts."""

    max_bytes = 2048

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch
        self._attempt = scratch / "20260101T000000-fuzz.jsonl"

    def seeds(self) -> list[bytes]:
        """Return rows of every status, a summary and a lock."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._attempt.unlink(missing_ok=True)
        with LedgerWriter(self._attempt) as writer:
            writer.write("a.jpg", "begun", stage="segment")
            writer.write("a.jpg", "found", stage="segment", classes={"person": 2})
            writer.write("a.jpg", "erased", stage="inpaint")
            writer.write("b.jpg", "failed", stage="segment", reason="damaged")
            writer.write("b.jpg", "forgiven", stage="retry")
            writer.write("b.jpg", "left", stage="segment")
            writer.write("c.jpg", "empty", stage="copy", copied=True)
        rows = self._attempt.read_bytes()
        summary = {"photos": 3, "erased": 1, "empty": 1, "failed": 0, "set_aside": 0}
        summary |= {"remaining": 1, "num_torn": 0, "classes": {"person": 2}, "reasons": {}}
        summary |= {"first_time": 1.5, "last_time": None, "busy_seconds": 0.5}
        lock = {"job_id": 0, "restart_count": 0, "host": "h", "pid": 7, "pid_started": "1"}
        files = [rows, json.dumps(summary).encode(), json.dumps(lock | {"token": "t"}).encode()]
        return [BETWEEN_FILES.join(files), rows[: len(rows) // 2], rows.replace(b"erased", b"\0")]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` as a ledger, whole and as it grows, a summary and a lock."""
        rows, done, lock = (*data.split(BETWEEN_FILES, 2), b"", b"")[:3]
        (self._folder / DONE_NAME).write_bytes(done)
        (self._folder / LOCK_NAME).write_bytes(lock)
        self._attempt.write_bytes(rows[: len(rows) // 2])
        growing = SliceLedger(self._folder)
        growing.refresh()
        with open(self._attempt, "ab") as stream:
            stream.write(rows[len(rows) // 2 :])
        growing.refresh()
        whole = read_slice(self._folder)
        assert growing == whole, "read in parts, it is another ledger"
        assert growing.busy_seconds >= 0
        with LedgerWriter(self._attempt) as writer:
            writer.write("written after it", "erased", stage="fuzz")
        assert read_slice(self._folder).outcomes["written after it"].is_done
        if (summary := read_done(self._folder)) is not None:
            json.dumps(dataclasses.asdict(summary), allow_nan=False)
        if (holder := read_holder(self._folder)) is not None:
            holder.describe()


class Lists:
    """The readers of lists and tables that people write: no path leads out of the folder."""

    max_bytes = 1024

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch / "photos"
        self._list, self._table = scratch / "list.txt", scratch / "table.csv"

    def seeds(self) -> list[bytes]:
        """Return a list and a table, in several encodings."""
        (self._folder / "a").mkdir(parents=True, exist_ok=True)
        (self._folder / "a/b.jpg").touch()
        names = f"./a//b.jpg\r\n{self._folder.absolute()}/a/b.jpg\n"
        table = "sep=;\nimage;click;number;class;box\na/b.jpg;1 2;3;person;0 0 9 9\n;;\n"
        return [text.encode(code) for text in (names, table) for code in ("utf-8-sig", "utf-16")]

    def __call__(self, data: bytes) -> None:
        """Read ``data`` as a list and as a table."""
        self._list.write_bytes(data)
        self._table.write_bytes(data)
        with contextlib.suppress(UsageError):
            assert read_list(self._list, self._folder) == ["a/b.jpg"]
        with contextlib.suppress(UsageError):
            table = read_choices(self._table, Selection(), self._folder)
            for name in table.per_image:
                path = Path(os.path.normpath(self._folder / name))
                assert path.is_relative_to(self._folder), "it leads out of the folder"
            table.require_on_disk(self._folder)


TARGETS = {
    "images": Images,
    "configurations": Configurations,
    "manifests": Manifests,
    "ledgers": Ledgers,
    "lists": Lists,
}


def main() -> None:
    """Fuzz one target for a number of runs."""
    name, folder, runs, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    corpus, scratch = folder / "corpus", folder / "scratch"
    target = TARGETS[name](scratch)
    for path in (corpus, scratch):
        path.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number:02d}").write_bytes(data)
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={target.max_bytes}"]
    # The kernel counts the memory of the process that started this one, too.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    memory = f"-rss_limit_mb={before + _MEMORY_MIB}"
    options += [f"-artifact_prefix={folder}/", memory, *_LIMITS]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
