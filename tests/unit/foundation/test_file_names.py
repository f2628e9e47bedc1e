"""Derived names fit into a folder, stay the same, and tell two photos apart."""

import os
from pathlib import Path

import pytest

from pconv_hpc.foundation.file_names import MAX_NAME_BYTES, short_name, with_ending

LONG = ["a" * 255, "é" * 127, "a" + "写" * 84, "\udcff" * 255, "a" * 251 + ".jpg"]


@pytest.mark.parametrize("name", LONG)
def test_a_long_name_is_cut_and_stays_its_own(tmp_path: Path, name: str) -> None:
    path = with_ending(tmp_path / name, ".png")
    assert len(os.fsencode(path.name)) <= MAX_NAME_BYTES
    assert path.suffix == ".png"
    path.touch()
    assert path == with_ending(tmp_path / name, ".png")
    assert path != with_ending(tmp_path / f"{name[:-1]}b", ".png")
    assert os.fsencode(path.name).decode()  # valid, as some file systems ask


def test_a_name_that_fits_stays_as_it_is() -> None:
    assert with_ending(Path("a/b.jpg"), ".png") == Path("a/b.jpg.png")
    assert with_ending(Path("x" * 251), ".png") == Path("x" * 251 + ".png")
    assert short_name("\udcff.jpg", 5) == "\udcff.jpg"
