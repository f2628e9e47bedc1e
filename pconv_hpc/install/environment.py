"""The virtual environment: made, repaired after an interruption, and what is known to be in it."""

import contextlib
import dataclasses
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pconv_hpc.foundation import atomic
from pconv_hpc.foundation.errors import PconvError, UsageError
from pconv_hpc.foundation.json_files import read_json
from pconv_hpc.install.commands import Logged, output_of

_STAMP = "pconv-install.json"
_REPLACED = ("bin", "include", "lib", "lib64")


@dataclass(frozen=True)
class Stamp:
    """What a finished installation put into an environment."""

    fingerprint: str  # of the requirements, the lock, the settings and this code
    extras: tuple[str, ...]
    wheels: dict[str, str]  # package → key of the wheel built for it; "mpi" → which one


@dataclass(frozen=True)
class Environment:
    """The virtual environment in the folder ``path``."""

    path: Path

    @property
    def python(self) -> Path:
        """Return its interpreter."""
        return self.path / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Return the folder packages are installed into."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.path / "lib" / version / "site-packages"

    def pip(self, *arguments: str | Path) -> list[str | Path]:
        """Return the command that runs its pip."""
        return [self.python, "-m", "pip", *arguments]

    def version_of(self, name: str) -> str | None:
        """Return the installed version of a package, or None."""
        found = metadata.distributions(name=name, path=[str(self.site_packages)])
        return next((distribution.version for distribution in found), None)

    def read_stamp(self) -> Stamp | None:
        """Return what the last finished installation wrote, None after an unfinished one."""
        with contextlib.suppress(UsageError):
            return read_json(self.path / _STAMP, Stamp, kind="the stamp of an installation")
        return None

    def write_stamp(self, stamp: Stamp) -> None:
        """Record a finished installation."""
        atomic.write_json(self.path / _STAMP, dataclasses.asdict(stamp))

    def remove_stamp(self) -> None:
        """Record that an installation has started, so what is there cannot be relied on."""
        (self.path / _STAMP).unlink(missing_ok=True)

    def is_usable(self) -> bool:
        """Return whether its Python runs, has pip, and is the version this process is."""
        answer = output_of([self.python, "-c", "import pip, sys; print(sys.version_info[:2])"])
        return answer is not None and answer.strip() == str(tuple(sys.version_info[:2]))

    def create(self, logged: Logged) -> None:
        """Make the environment unless it is usable; one of another Python is replaced.

        Raises:
            UsageError: the folder holds something that is not a virtual environment.
        """
        if self.is_usable():
            return
        if Path(sys.prefix).resolve() == self.path.resolve():
            raise PconvError(
                f"{self.path} is damaged, and this runs in it: `deactivate` it, then run this again"
            )
        # venv makes empty folders first, then pyvenv.cfg, then everything else.
        if not (self.path / "pyvenv.cfg").is_file():
            for foreign in (p for old in _REPLACED for p in (self.path / old).rglob("*")):
                if foreign.is_symlink() or not foreign.is_dir():
                    raise UsageError(
                        f"{foreign} would be removed, but {self.path} is not a virtual environment "
                        "(it has no pyvenv.cfg): choose another folder"
                    )
        for old in _REPLACED:
            _remove(self.path / old)
        logged.run([sys.executable, "-m", "venv", self.path], log="venv")

    def discard_incomplete(self) -> list[str]:
        """Forget packages an interrupted pip left half written; return their names.

        pip takes a package for installed as soon as its metadata folder exists. Without that
        folder it installs the package anew, over what is there.
        """
        discarded = []
        for leftover in self.site_packages.glob("~*"):  # what pip was about to remove
            _remove(leftover)
        for info in sorted(self.site_packages.glob("*.dist-info")):
            distribution = metadata.Distribution.at(info)
            if not _is_complete(distribution):
                discarded.append(info.name.removesuffix(".dist-info"))
                shutil.rmtree(info)
        return discarded


def _is_complete(distribution: metadata.Distribution) -> bool:
    files = distribution.files
    if files is None or distribution.read_text("METADATA") is None:
        return False
    # Compiled bytecode comes and goes.
    return all(file.suffix == ".pyc" or os.path.lexists(file.locate()) for file in files)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
