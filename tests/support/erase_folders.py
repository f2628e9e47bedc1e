"""Folders that are being erased, as their files say; no network runs."""

from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.erasing.folder.ledger import LedgerWriter, attempt_path, read_slice
from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.erasing.folder.slice_summary import count, read_done, write_done
from pconv_hpc.erasing.settings import EraseSettings
from pconv_hpc.segmentation.settings import SegmentSettings

SETTINGS = EraseSettings(segment=SegmentSettings(classes=("person",)))


def write_photos(folder: Path, count: int) -> None:
    """Write photos that are all alike."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for index in range(count):
        Image.fromarray(pixels).save(folder / f"{index:03d}.png")


def make_erase_folder(folder: Path, *, num_photos: int = 12, num_slices: int = 4) -> Manifest:
    """Write photos of one size and the manifest that cuts them into equal slices."""
    images = folder / "my photos"
    write_photos(images, num_photos)
    return build_manifest(images, folder / "an out", num_slices=num_slices, settings=SETTINGS)


def account(manifest: Manifest, number: int, *statuses: str, reason: str = "damaged") -> list[str]:
    """Append to a slice's ledger what became of its photos, as one attempt; return their names.

    A status is ``erased``, ``empty``, ``failed`` or nothing. A slice of which every photo is
    accounted for is closed, as the slice's runner does it.
    """
    slice_dir = manifest.slice_dir(number)
    photos = [row.photo for row in manifest.photos(number)]
    with LedgerWriter(attempt_path(slice_dir, {})) as ledger:
        for photo, status in zip(photos, statuses, strict=True):
            if status:
                ledger.write(photo, "begun", stage="segment")
            if status == "failed":
                ledger.write(photo, "failed", stage="segment", reason=reason)
            elif status:
                classes = {"person": 2} if status == "erased" else {}
                ledger.write(photo, "found", stage="segment", classes=classes)
                ledger.write(photo, "erased" if classes else "empty", stage="inpaint")
    summary = count(manifest, number, read_slice(slice_dir))
    if summary.is_accounted:
        write_done(slice_dir, summary)
        assert read_done(slice_dir) == summary
    return photos
