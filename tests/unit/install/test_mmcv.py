"""onedl-mmcv's key."""

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
