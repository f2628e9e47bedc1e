"""An environment is made, repaired after an interruption, and remembers what is in it."""

import json
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.install.commands import Logged
from pconv_hpc.install.environment import Environment, Stamp

STAMP = Stamp("abc", ("core", "train"), {"horovod": "horovod-1"})


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    environment = Environment(tmp_path / "venv")
    environment.site_packages.mkdir(parents=True)
    return environment


def add_package(environment: Environment, name: str, *, record: bool = True) -> Path:
    """Write an installed package of one module, and return its metadata folder."""
    site_packages = environment.site_packages
    (site_packages / f"{name}.py").write_text("")
    info = site_packages / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if record:
        files = [f"{name}.py", f"__pycache__/{name}.cpython-311.pyc", f"{info.name}/METADATA"]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return info


def test_whole_packages_are_kept(environment: Environment) -> None:
    info = add_package(environment, "whole")
    assert environment.discard_incomplete() == []
    assert info.is_dir()
    assert environment.version_of("whole") == "1.0"


def test_half_installed_packages_are_forgotten(environment: Environment) -> None:
    add_package(environment, "whole")
    add_package(environment, "unrecorded", record=False)
    add_package(environment, "torn")
    (environment.site_packages / "torn.py").unlink()
    (environment.site_packages / "empty-2.0.dist-info").mkdir()
    (environment.site_packages / "~ld").mkdir()
    (environment.site_packages / "~ld" / "module.py").write_text("")

    assert environment.discard_incomplete() == ["empty-2.0", "torn-1.0", "unrecorded-1.0"]
    assert [path.name for path in environment.site_packages.glob("*.dist-info")] == [
        "whole-1.0.dist-info"
    ]
    assert not (environment.site_packages / "~ld").exists()
    assert environment.version_of("torn") is None


def test_the_stamp_comes_back(environment: Environment) -> None:
    assert environment.read_stamp() is None
    environment.write_stamp(STAMP)
    assert environment.read_stamp() == STAMP
    environment.remove_stamp()
    assert environment.read_stamp() is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"fingerprint": "abc"}'])
def test_a_damaged_stamp_counts_as_none(environment: Environment, content: str) -> None:
    environment.write_stamp(STAMP)
    next(environment.path.glob("*.json")).write_text(content)
    assert environment.read_stamp() is None


def test_the_stamp_is_readable(environment: Environment) -> None:
    environment.write_stamp(STAMP)
    content = json.loads(next(environment.path.glob("*.json")).read_text())
    assert content["extras"] == ["core", "train"]


def test_an_environment_broken_off_half_way_is_made_whole(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    (environment.path / "bin").mkdir(parents=True)
    (environment.path / "pyvenv.cfg").touch()
    (environment.path / "bin" / "python").symlink_to("/nonexistent/python3")
    logs = environment.path / "logs"
    assert not environment.is_usable()
    environment.create(Logged(logs))
    assert environment.is_usable()
    made = environment.python.lstat().st_mtime_ns
    environment.create(Logged(logs))
    assert environment.python.lstat().st_mtime_ns == made


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    for name in ("include", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib/precious").touch()
    with pytest.raises(UsageError, match=f"{tmp_path}/lib/precious would be removed, but"):
        Environment(tmp_path).create(Logged(tmp_path / "logs"))
    assert (tmp_path / "lib/precious").exists()
    assert (tmp_path / "include").exists()


def test_the_environment_this_runs_in_is_never_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(Path(sys.prefix))
    monkeypatch.setattr(Environment, "is_usable", lambda self: False)
    with pytest.raises(PconvError, match="damaged, and this runs in it"):
        environment.create(Logged(environment.path / "logs"))
    assert environment.python.exists()
