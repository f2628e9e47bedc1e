"""The stand-ins that keep a single cv2."""

import base64
import csv
import hashlib
import io
import zipfile
from importlib import metadata
from pathlib import Path

import cv2

from pconv_hpc.install import opencv


def test_the_stand_ins_are_valid_empty_wheels(tmp_path: Path) -> None:
    paths = opencv.write_stand_ins(tmp_path)
    assert [path.name.split("-")[0] for path in paths] == [
        "opencv_python",
        "opencv_python_headless",
    ]
    for path in paths:
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


def test_the_environment_has_one_cv2_the_headless_one_with_its_extra_modules() -> None:
    owners = [
        distribution.name
        for distribution in metadata.distributions()
        if any(file.parts[0] == "cv2" for file in distribution.files or ())
    ]
    assert owners == [opencv.PACKAGE]
    for name in opencv.STOOD_FOR:
        assert metadata.version(name) == opencv.STAND_IN_VERSION
    assert hasattr(cv2, "xphoto")
