"""onedl-mmcv's key, and the stand-in that keeps a single cv2."""

import base64
import csv
import hashlib
import io
import zipfile
from importlib import metadata
from pathlib import Path

from pconv_hpc.install import mmcv
from pconv_hpc.install.toolchain import Cuda


def test_every_difference_makes_another_key() -> None:
    keys = [
        mmcv.key("2.13.0+cpu", None),
        mmcv.key("2.13.0", None),
        mmcv.key("2.13.0", Cuda(Path("/usr/local/cuda"), "80,90")),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0].endswith("-torch2.13.0+cpu-cpu")


def test_the_stand_in_is_a_valid_empty_wheel(tmp_path: Path) -> None:
    path = mmcv.write_opencv_stand_in(tmp_path)
    with zipfile.ZipFile(path) as wheel:
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    assert all(".dist-info/" in name for name in contents)
    [record] = [name for name in contents if name.endswith("/RECORD")]
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(contents[record].decode()))}
    assert set(rows) == set(contents)
    for name, (digest, size) in rows.items():
        if name != record:
            expected = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest())
            assert digest == f"sha256={expected.decode().rstrip('=')}"
            assert int(size) == len(contents[name])


def test_the_environment_has_one_cv2_the_headless_one() -> None:
    owners = [
        distribution.name
        for distribution in metadata.distributions()
        if any(file.parts[0] == "cv2" for file in distribution.files or ())
    ]
    assert owners == ["opencv-python-headless"]
    assert metadata.version("opencv-python") == f"{mmcv.OPENCV_VERSION}+headless"
