"""Weight files refused by what they say of themselves, before Keras is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.arrays.hdf5 import h5py
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.model.find_weights import SHIPPED_WEIGHTS
from pconv_hpc.model.weight_header import check_weights


def test_what_can_be_used_is_told_without_keras() -> None:
    program = (
        "import sys; from pathlib import Path; from pconv_hpc.model import weight_header as h; "
        f"h.check_weights(Path({str(SHIPPED_WEIGHTS)!r})); "
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_other_files_are_refused(tmp_path: Path) -> None:
    photo = tmp_path / "b.jpg"
    photo.write_bytes(b"no weights")
    with pytest.raises(UsageError, match="not a readable HDF5 file"):
        check_weights(photo)
    with h5py.File(tmp_path / "shard.h5", "w") as file:
        file.attrs["format"] = "shard"
    with pytest.raises(UsageError, match="is 'shard' version None; expected 'pconv_hpc weights'"):
        check_weights(tmp_path / "shard.h5")
    with h5py.File(tmp_path / "torn.h5", "w") as file:
        file.attrs["format"], file.attrs["format_version"] = "pconv_hpc weights", 1
        file.attrs["model_config"] = "{"
    with pytest.raises(UsageError, match="'model_config' is not valid JSON"):
        check_weights(tmp_path / "torn.h5")
