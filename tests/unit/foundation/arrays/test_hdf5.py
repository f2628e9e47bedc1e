"""HDF5 files: what does not fit is an error; of files from outside only their own data are read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.hdf5 import (
    get_dataset,
    h5py,
    open_for_reading,
    open_for_writing,
    text_attribute,
)
from pconv_hpc.foundation.errors import UsageError


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(3)
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w") as file:
        file["group/good"] = np.arange(4)
        file["external"] = h5py.ExternalLink(str(secret), "secret")
        file["soft"] = h5py.SoftLink("/group/good")
        file["softgroup"] = h5py.SoftLink("/group")
        file.create_dataset("raw", shape=(8,), dtype="u1", external=[(str(secret), 0, 8)])
        layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
        layout[:] = h5py.VirtualSource(str(secret), "secret", shape=(3,))
        file.create_virtual_dataset("virtual", layout)
        file.attrs["name"] = "ü"
        file.attrs["bytes"] = np.bytes_("plain")
        file.attrs["number"] = 3
    return path


def test_data_in_the_file_are_read(hostile: Path) -> None:
    with open_for_reading(hostile) as file:
        assert get_dataset(file, "group/good")[()].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["external", "soft", "raw", "virtual", "softgroup/good"])
def test_data_elsewhere_are_refused(hostile: Path, name: str) -> None:
    with open_for_reading(hostile) as file, pytest.raises(UsageError, match="refused"):
        get_dataset(file, name)


@pytest.mark.parametrize("name", ["missing", "group/missing", "group/good/deeper", "group"])
def test_a_missing_dataset_is_named(hostile: Path, name: str) -> None:
    with open_for_reading(hostile) as file, pytest.raises(UsageError, match=r"hostile\.h5"):
        get_dataset(file, name)


def test_files_that_are_no_hdf5_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="no such file"),
        open_for_reading(tmp_path / "missing.h5"),
    ):
        pass
    text = tmp_path / "text.h5"
    text.write_text("not HDF5")
    with (
        pytest.raises(UsageError, match=r"text\.h5: not a readable HDF5 file"),
        open_for_reading(text),
    ):
        pass


@pytest.mark.parametrize(
    "error",
    [
        OSError(5, "Input/output error"),
        KeyError("images"),
        RuntimeError("a B-tree"),
        TypeError("U"),
    ],
)
def test_what_fails_while_reading_names_the_file_and_the_reason(
    hostile: Path, error: Exception
) -> None:
    with pytest.raises(UsageError) as raised, open_for_reading(hostile):
        raise error
    assert f"{hostile}: not a readable HDF5 file ({error})" in str(raised.value)


def test_text_attributes(hostile: Path) -> None:
    with open_for_reading(hostile) as file:
        assert text_attribute(file, "name") == "ü"
        assert text_attribute(file, "bytes") == "plain"
        for name in ("number", "missing"):
            with pytest.raises(UsageError, match=name):
                text_attribute(file, name)


def test_a_file_that_does_not_fit_is_the_systems_error_and_not_a_crash(tmp_path: Path) -> None:
    program = (
        "import resource, sys; import numpy as np\n"
        "from pathlib import Path\n"
        "from pconv_hpc.foundation.arrays.hdf5 import open_for_writing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))\n"
        "try:\n"
        "    with open_for_writing(Path(sys.argv[1])) as file:\n"
        "        for name in map(str, range(60)):\n"
        "            file.create_group(name)['array'] = np.ones(1000)\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    for limit in (100, 5_000, 50_000, 480_000):  # in the head, within arrays, and while closing
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "file.h5"), str(limit)],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "[Errno 27] File too large\n"), done.stderr


def test_a_file_that_is_written_reads_back(tmp_path: Path) -> None:
    with open_for_writing(tmp_path / "file.h5", libver=("earliest", "v110")) as file:
        file["group/array"] = np.arange(100_000)
        file.attrs["name"] = "ü"
    with open_for_reading(tmp_path / "file.h5") as file:
        assert text_attribute(file, "name") == "ü"
        np.testing.assert_array_equal(get_dataset(file, "group/array")[()], np.arange(100_000))
