"""What is known to be wrong is told before any framework takes its seconds."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from PIL import Image

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.segmentation.coco_classes import COCO_CLASSES
from pconv_hpc.segmentation.network_files import DEFAULT_CHECKPOINT, check_network
from pconv_hpc.segmentation.selection import spelled
from tests.support.paths import REPOSITORY

# Whoever imports one of these fails with a traceback and exit code 1.
_WITHOUT_FRAMEWORKS = """
import sys
for name in ("torch", "tensorflow", "keras", "mmdet.apis", "mmengine", "mmcv"):
    sys.modules[name] = None
from pconv_hpc.__main__ import main
main()
"""


def told(folder: Path, *words: str) -> str:
    """Return what a program that ends with exit code 2 says."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_FRAMEWORKS, *words],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "photos/a.png")
    (tmp_path / "table.csv").write_text("image,class\na.png,dog; unicorn\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "segment photos out --all",
        "erase photos/a.png",
        "erase photos out --all",
        "harvest photos o.h5",
    ],
)
def test_missing_weights_of_mask_rcnn(folder: Path, words: str) -> None:
    assert "fetch-weights mask_rcnn" in told(folder, *words.split())
    checkpoint = "no.pth: no such checkpoint"
    assert checkpoint in told(folder, *words.split(), "--checkpoint", "no.pth")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("segment photos out --classes cat,unicorn", "unknown class unicorn; this network"),
        ("segment photos out --choices table.csv", "unknown class unicorn"),
        ("erase photos/a.png --classes unicorn", "unknown class unicorn"),
        ("erase photos out --choices table.csv --local", "unknown class unicorn"),
        ("harvest photos o.h5 --classes unicorn", "unknown class unicorn"),
        ("segment photos out --choices none.csv", "none.csv: cannot be read"),
        ("erase photos/a.png --choices none.csv", "none.csv: cannot be read"),
        ("inpaint photos photos out --weights none.h5", "none.h5: no such weights"),
    ],
)
def test_wrong_classes_and_missing_tables(folder: Path, words: str, message: str) -> None:
    (folder / DEFAULT_CHECKPOINT).parent.mkdir()
    (folder / DEFAULT_CHECKPOINT).touch()
    (folder / "photos/a_mask.png").write_bytes((folder / "photos/a.png").read_bytes())
    assert message in told(folder, *words.split())


def test_the_default_network_knows_cocos_classes(folder: Path) -> None:
    assert CocoDataset.METAINFO["classes"] == COCO_CLASSES
    assert spelled(["Traffic_Light", "dog"], COCO_CLASSES) == ("traffic light", "dog")
    other = folder / "other.pth"
    other.touch()
    check_network(None, other, ["unicorn"])  # it may be trained on anything
    with pytest.raises(UsageError, match="needs the weights that belong to it"):
        check_network("rtmdet-ins_m_8xb32-300e_coco", None)
