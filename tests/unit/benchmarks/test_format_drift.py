"""How much photos change outside of what is erased, in numbers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import format_drift


def test_jpegs_of_a_folder_are_measured_and_others_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    exif = Image.Exif()
    for orientation in (1, 5, 6):
        exif[0x0112] = orientation
        Image.fromarray(grain).save(tmp_path / f"{orientation}.jpg", exif=exif.tobytes())
    Image.fromarray(grain).save(tmp_path / "really_a_png.jpg", "PNG")
    (tmp_path / "no_photo.jpg").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["format_drift", str(tmp_path)])
    format_drift.main()
    printed = capsys.readouterr().out
    assert "3 of 5 JPEGs; untouched blocks with the same coefficients 100.00%" in printed
    assert len(list(tmp_path.iterdir())) == 5


def test_what_differs_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    grain = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(grain).save(path, quality=95)
    monkeypatch.setattr(
        format_drift, "write_photo", lambda photo, out: Image.fromarray(photo.pixels).save(out)
    )
    share, difference, _ = format_drift.measure(path, tmp_path, None) or (1.0, 0.0, 0.0)
    assert share < 0.5
    assert difference > 5


@pytest.mark.parametrize("encode", ["heic", "avif"])
def test_other_formats_change_a_little(
    tmp_path: Path, encode: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(grain).save(tmp_path / "photo.jpg")
    monkeypatch.setattr(sys, "argv", ["format_drift", str(tmp_path), "--encode", encode])
    format_drift.main()
    printed = capsys.readouterr().out
    assert "1 of 1 JPEGs; difference outside of the mask, of 255: mean " in printed
    assert "mean 0.000" not in printed
