"""Arrays from .npz files: as written, and refused where the file is not what it should be."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pconv_hpc.foundation.arrays.npz import array_names, read_float_arrays
from pconv_hpc.foundation.errors import UsageError

SHAPES = {"a.weight": (2, 3), "b": (4,)}


def write(path: Path, **replaced: np.ndarray) -> Path:
    arrays = {"a.weight": np.arange(6.0).reshape(2, 3), "b": np.ones(4, np.float16), **replaced}
    np.savez(path, **arrays)
    return path


def test_arrays_are_read_as_float32(tmp_path: Path) -> None:
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    path = write(tmp_path / "a.npz", **{"a.weight": fortran})
    assert array_names(path) == {"a.weight", "b"}
    arrays = read_float_arrays(path, SHAPES, expected="a test's")
    np.testing.assert_array_equal(arrays["a.weight"], fortran)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (np.zeros((2, 3), np.int32), "expected .2, 3. of floating-point"),
        (np.zeros((3, 2)), "has shape .3, 2."),
        (np.array([{}, {}], dtype=object), "object"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, replaced: np.ndarray, message: str) -> None:
    path = write(tmp_path / "a.npz", **{"a.weight": replaced})
    with pytest.raises(UsageError, match=message):
        read_float_arrays(path, SHAPES, expected="a test's")


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.npz"):
        array_names(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    with pytest.raises(UsageError, match=r"text\.npz: not a readable"):
        read_float_arrays(text, SHAPES, expected="a test's")
    with pytest.raises(UsageError, match="no array 'c'; expected three letters"):
        read_float_arrays(write(tmp_path / "a.npz"), {"c": (1,)}, expected="three letters")
    for offset, name in ((8, "encrypted"), (10, "compressed"), (6, "newer")):
        data = bytearray(write(tmp_path / f"{name}.npz").read_bytes())
        entry = data.index(b"PK\x01\x02")
        data[entry + offset] = 99
        (tmp_path / f"{name}.npz").write_bytes(data)
        with pytest.raises(UsageError, match=rf"{name}\.npz: .* readable"):
            read_float_arrays(tmp_path / f"{name}.npz", SHAPES, expected="a test's")
    cut = tmp_path / "cut.npz"
    whole = zipfile.ZipFile(write(tmp_path / "b.npz")).read("a.weight.npy")
    with zipfile.ZipFile(cut, "w") as archive:
        archive.writestr("a.weight.npy", whole[:-8])
    with pytest.raises(UsageError, match="truncated"):
        read_float_arrays(cut, {"a.weight": (2, 3)}, expected="a test's")
