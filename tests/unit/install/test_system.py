"""What is missing on a machine is found and named for each kind of machine."""

from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import EXIT_USAGE, UsageError
from pconv_hpc.install import system


def test_a_machine_without_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(system, "_SBIN", ())
    assert system.missing_to_build()[:3] == [system.COMPILER, system.C_COMPILER, system.MAKE]
    assert system.missing_to_test() == [
        system.MPICXX,
        system.MPIRUN,
        system.SLURM,
        system.MUNGE,
        system.SHELLCHECK,
        system.CHROMIUM,
    ]


def test_daemons_are_found_off_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    munged = tmp_path / "sbin" / "munged"
    munged.parent.mkdir()
    munged.write_text("#!/bin/sh\n")
    munged.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(system, "_SBIN", (str(munged.parent),))
    assert system.MUNGE not in system.missing_to_test()


def test_the_message_names_packages_for_each_kind_of_machine() -> None:
    with pytest.raises(UsageError) as caught:
        system.require([system.COMPILER, system.MAKE])
    message = str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE
    assert "lacks a C++ compiler (c++), make" in message
    assert "apt-get install --no-install-recommends g++ make" in message
    assert "dnf install gcc-c++ make" in message
    assert "conda install -c conda-forge cxx-compiler make" in message
    assert "module load GCC" in message


def test_what_conda_lacks_is_not_promised() -> None:
    message = system.explain([system.SLURM, system.SHELLCHECK])
    assert "slurm-wlm shellcheck" in message
    assert "conda" not in message


def test_nothing_missing_is_no_error() -> None:
    system.require([])
