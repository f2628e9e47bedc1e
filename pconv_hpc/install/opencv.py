"""Keep a single cv2: OpenCV's headless build with its extra modules, whatever others ask for.

The headless build has no need of libGL, which compute nodes lack; the extra modules hold
frequency-selective reconstruction, which evaluation compares with.
"""

import base64
import hashlib
import zipfile
from pathlib import Path

PACKAGE = "opencv-contrib-python-headless"
VERSION = "4.12.0.88"
STAND_IN_VERSION = f"{VERSION}+contrib"
STOOD_FOR = ("opencv-python", "opencv-python-headless")


def write_stand_ins(out: Path) -> list[Path]:
    """Write empty wheels named as OpenCV's other builds, which ask for the one instead.

    onedl-mmcv and imaug require them by name, onedl-mmdetection through those. Installed beside
    one another the builds overwrite each other's files, and one that needs libGL may win.
    """
    return [_write_stand_in(name, out) for name in STOOD_FOR]


def _write_stand_in(name: str, out: Path) -> Path:
    stem = f"{name.replace('-', '_')}-{STAND_IN_VERSION}"
    info = f"{stem}.dist-info"
    metadata = (
        "Metadata-Version: 2.1\n"
        f"Name: {name}\n"
        f"Version: {STAND_IN_VERSION}\n"
        f"Summary: Empty; stands for {PACKAGE}, which has the same cv2\n"
        f"Requires-Dist: {PACKAGE}=={VERSION}\n"
    )
    files = {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: pconv_hpc\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_record_hash(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = out / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in files.items():
            wheel.writestr(member, text)
    return path


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"
