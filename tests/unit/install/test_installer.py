"""An installation is done once, and anew when anything it follows from has changed."""

import shutil
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.install import mmcv, mpi, system
from pconv_hpc.install.environment import Environment, Stamp
from pconv_hpc.install.installer import Installer
from tests.support.paths import REPOSITORY


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files of a checkout that an installation reads."""
    (tmp_path / "tools").mkdir()
    for name in ("setup.cfg", "tools/constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def installer(checkout: Path) -> Installer:
    """Of profile erase into an environment that says it has torch 2.13.0."""
    installer = Installer(checkout=checkout, venv=checkout / ".venv", profile="erase")
    torch = installer.environment.site_packages / "torch-2.13.0.dist-info"
    torch.mkdir(parents=True)
    installer.environment.python.parent.mkdir()
    installer.environment.python.symlink_to(sys.executable)
    (torch / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    return installer


def stamp(installer: Installer, *extras: str) -> None:
    """Write what a finished installation of ``extras`` writes."""
    wheels = {"onedl-mmcv": mmcv.key("2.13.0", None)}
    done = Stamp(installer.fingerprint(), extras, wheels)
    installer.environment.write_stamp(done)


def again(installer: Installer, **changes: object) -> Installer:
    """Return a new installer of the same checkout, as the next command would make it."""
    arguments = {"checkout": installer.checkout, "venv": installer.venv, "profile": "erase"}
    return Installer(**{**arguments, **changes})


def test_nothing_was_installed(installer: Installer) -> None:
    assert not installer.is_up_to_date()


def test_done_is_done(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp(installer, "core", "segment", "page")
    before = sorted(installer.venv.rglob("*"))
    monkeypatch.setattr(system, "missing_to_build", lambda: pytest.fail("looked for a compiler"))
    again(installer).install()
    assert sorted(installer.venv.rglob("*")) == before
    assert again(installer).plan() == [f"nothing to do: {installer.venv} has all of profile erase"]


def test_a_larger_installation_holds_a_smaller_one(installer: Installer) -> None:
    stamp(installer, "core", "segment", "page", "test")
    assert again(installer).is_up_to_date()
    stamp(installer, "core")
    assert not again(installer).is_up_to_date()


@pytest.mark.parametrize("name", ["setup.cfg", "tools/constraints.txt"])
def test_changed_requirements_are_noticed(installer: Installer, name: str) -> None:
    stamp(installer, "core", "segment", "page")
    with open(installer.checkout / name, "a") as stream:
        stream.write("# one more line\n")
    assert not again(installer).is_up_to_date()


def test_another_choice_of_versions_is_noticed(installer: Installer) -> None:
    stamp(installer, "core", "segment", "page")
    assert not again(installer, use_lock=False).is_up_to_date()


def test_a_moved_checkout_is_noticed(installer: Installer, tmp_path: Path) -> None:
    stamp(installer, "core", "segment", "page")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("setup.cfg", "tools", ".venv"):
        (installer.checkout / name).rename(moved / name)
    assert not again(installer, checkout=moved, venv=moved / ".venv").is_up_to_date()


def test_a_removed_python_is_noticed(installer: Installer) -> None:
    stamp(installer, "core", "segment", "page")
    installer.environment.python.unlink()
    installer.environment.python.symlink_to("/nonexistent/python3")
    assert not again(installer).is_up_to_date()


def test_another_torch_needs_another_mmcv(installer: Installer) -> None:
    stamp(installer, "core", "segment", "page")
    metadata = installer.environment.site_packages / "torch-2.13.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("2.13.0", "2.13.1"))
    assert not again(installer).is_up_to_date()


def test_another_mpi_needs_another_horovod_or_the_same_installed_again(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no mpicxx: the package's
    training = again(installer, profile="train")
    keys = training._keys(training.extras, training._builds(training.extras))
    training.environment.write_stamp(Stamp(training.fingerprint(), tuple(training.extras), keys))
    assert again(installer, profile="train").is_up_to_date()

    mpicxx = installer.checkout / "bin" / "mpicxx"
    mpicxx.parent.mkdir()
    mpicxx.write_text("#!/bin/sh\necho 'mpicxx: Open MPI 4.1.4 (Language: C++)'\n")
    mpicxx.chmod(0o755)
    monkeypatch.setenv("PATH", str(mpicxx.parent))
    assert not again(installer, profile="train").is_up_to_date()

    monkeypatch.setattr(mpi, "_SYSTEM_FOLDERS", (mpicxx.parent,))
    same = again(installer, profile="train")
    wheels = {name: key for name, key in keys.items() if name != "mpi"}
    assert wheels.items() <= same._keys(same.extras, same._builds(same.extras)).items()
    assert not same.is_up_to_date(), "the same wheel, but the package's MPI must go"


def test_a_missing_compiler_stops_before_anything_is_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "missing_to_build", lambda: [system.COMPILER])
    installer = Installer(checkout=checkout, venv=checkout / "new", profile="demo")
    with pytest.raises(UsageError, match=r"lacks a C\+\+ compiler"):
        installer.install()
    assert not (checkout / "new").exists()


def test_only_root_installs_system_packages_and_only_to_test(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "missing_to_build", list)
    monkeypatch.setattr(system, "missing_to_test", lambda: [system.SLURM])
    test = Installer(checkout=checkout, venv=checkout / "new", profile="test")
    monkeypatch.setattr(system, "can_install", lambda: False)
    assert test.plan()[0].startswith("stop: this machine lacks slurmctld and slurmd")
    with pytest.raises(UsageError, match="apt-get install --no-install-recommends slurm-wlm"):
        test.install()
    monkeypatch.setattr(system, "can_install", lambda: True)
    assert test.plan()[0] == "apt-get install slurm-wlm"
    demo = Installer(checkout=checkout, venv=checkout / "new", profile="demo")
    assert demo.plan()[0] == f"make the virtual environment {checkout / 'new'}"


def test_without_the_lock_ranges_keep_what_builds_need(checkout: Path, tmp_path: Path) -> None:
    installer = Installer(checkout=checkout, venv=tmp_path / "v", profile="test", use_lock=False)
    command = installer._pip_install(tmp_path)
    constraints = Path(command[command.index("--constraint") + 1]).read_text().splitlines()
    assert {"setuptools >=77, <81", "cmake >=3.20, <4", "numpy >=2.1, <2.3"} <= set(constraints)


def test_the_environment_never_sees_the_callers_python_path(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/modules/python")
    log = installer.logged
    log.run(["sh", "-c", 'echo "<$PYTHONPATH> $PATH"'], log="environment")
    said = (log.log_dir / "environment.log").read_text().splitlines()[-1]
    assert said.startswith(f"<> {Environment(installer.venv).python.parent}:")
