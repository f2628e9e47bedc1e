"""The gallery of an erased folder: pictures inside, what is gone is said, names are harmless."""

import base64
import io
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from pconv_hpc.erasing.folder.manifest import Manifest, build_manifest
from pconv_hpc.evaluation.reports.erase_report import write_erase_report
from tests.support.erase_folders import SETTINGS, account, make_erase_folder, write_photos


def finish(manifest: Manifest) -> None:
    """Write what the stages leave of every photo: a mask of its upper half, a result in blue."""
    mask = np.zeros((30, 40), np.uint8)
    mask[:15] = 255
    for number in range(manifest.num_slices):
        for row in manifest.photos(number):
            for path, pixels in (
                (manifest.found / "masks" / f"{row.photo}.png", mask),
                (manifest.erased / row.photo, np.full((30, 40, 3), (0, 0, 200), np.uint8)),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)


def pictures(page: str) -> list[np.ndarray]:
    """Return the pictures that a page holds."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_before_mask_and_after_of_a_sample_and_every_count(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=60, num_slices=3)
    finish(manifest)
    account(manifest, 0, *(["erased"] * 20))
    account(manifest, 1, *(["erased"] * 10 + ["empty"] * 10))
    for _ in range(3):
        account(manifest, 2, *(["failed"] * 2 + [""] * 18), reason="<script>alert(1)</script>")
    path = write_erase_report(manifest.out)
    page = path.read_text()
    assert path == manifest.out / "report.html"
    shown = pictures(page)
    assert len(shown) == 24 * 3 + 8
    before, marked, after = (picture.astype(int) for picture in shown[:3])
    assert (marked[:10, :, 0] - before[:10, :, 0]).mean() > 40  # red where it was erased
    assert abs(marked[20:] - before[20:]).mean() < 6
    assert abs(after - (0, 0, 200)).mean() < 6
    for row in ("<td>erased</td><td>30</td>", "<td>nothing to erase</td><td>10</td>"):
        assert row in page
    assert "<td>set aside after 3 failures</td><td>2</td>" in page
    assert "<td>person</td><td>60</td>" in page
    assert "<script" not in page
    assert page.count("<td>set aside</td>") == 2
    assert write_erase_report(manifest.out).read_text() == page
    other = write_erase_report(manifest.out, seed=1).read_text()
    assert re.findall(r"\d+\.png", other) != re.findall(r"\d+\.png", page)


def test_what_is_gone_since_is_said(tmp_path: Path) -> None:
    manifest = make_erase_folder(tmp_path, num_photos=4, num_slices=1)
    finish(manifest)
    account(manifest, 0, "erased", "erased", "empty", "empty")
    (manifest.images / "000.png").unlink()
    (manifest.erased / "001.png").write_bytes(b"cut")
    (manifest.images / "002.png").unlink()
    page = write_erase_report(manifest.out).read_text()
    assert page.count("000.png: cannot be read") == 1
    assert "001.png: not an image" in page
    assert "002.png: cannot be read" in page
    assert len(pictures(page)) == 1


def test_photos_and_results_inside_tar_files(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 4)
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "a.tar", "w") as tar:
        tar.add(tmp_path / "photos", arcname=".")
    manifest = build_manifest(tmp_path / "tars", tmp_path / "out", num_slices=1, settings=SETTINGS)
    finish(manifest)
    account(manifest, 0, "erased", "erased", "empty", "")
    unpacked = manifest.out / "unpacked"  # where all is until the whole tar file is done
    unpacked.mkdir()
    shutil.move(manifest.erased, unpacked / "erased")
    shutil.move(manifest.found, unpacked / "found")
    page = write_erase_report(manifest.out).read_text()
    assert len(pictures(page)) == 2 * 3 + 1
    assert "a.tar/000.png" in page

    for kind, prefix in (("erased", ""), ("found/masks", "masks/")):
        path = manifest.out / kind.partition("/")[0] / "a.tar"
        path.parent.mkdir()
        with tarfile.open(path, "w") as tar:
            for file in (unpacked / kind / "a.tar").iterdir():
                tar.add(file, arcname=f"{prefix}{file.name}")
    shutil.rmtree(unpacked)
    assert write_erase_report(manifest.out).read_text() == page
