"""What the machine itself must bring: a compiler, Python's headers, what tests start."""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.install.commands import Logged, step

# Daemons live in folders that are not on everybody's PATH.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Need:
    """Commands, or a header or module of Python, and the packages that bring them."""

    what: str
    debian: str
    redhat: str
    conda: str | None = None  # None: conda-forge has no such package
    commands: tuple[str, ...] = ()

    def is_missing(self) -> bool:
        """Return whether this machine lacks it."""
        if self is HEADERS:
            return not (Path(sysconfig.get_path("include")) / "Python.h").is_file()
        if self is VENV:
            return importlib.util.find_spec("ensurepip") is None
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
        return not all(shutil.which(command, path=path) for command in self.commands)


COMPILER = Need("a C++ compiler (c++)", "g++", "gcc-c++", "cxx-compiler", ("c++",))
C_COMPILER = Need("a C compiler (cc)", "gcc", "gcc", "c-compiler", ("cc",))
MAKE = Need("make", "make", "make", "make", ("make",))
HEADERS = Need("Python's headers (Python.h)", "python3-dev", "python3-devel", "python")
VENV = Need("Python's venv and ensurepip modules", "python3-venv", "python3", "python")
MPICXX = Need("mpicxx", "libopenmpi-dev", "openmpi-devel", "openmpi-mpicxx", ("mpicxx",))
MPIRUN = Need("mpirun", "openmpi-bin", "openmpi", "openmpi", ("mpirun",))
SLURM = Need(
    "slurmctld and slurmd", "slurm-wlm", "slurm-slurmctld slurm-slurmd",
    commands=("slurmctld", "slurmd", "srun"),
)  # fmt: skip
MUNGE = Need("munged", "munge", "munge", commands=("munged",))
SHELLCHECK = Need("shellcheck", "shellcheck", "ShellCheck", "shellcheck", ("shellcheck",))
CHROMIUM = Need("chromium", "chromium", "chromium", commands=("chromium",))


def missing_to_build() -> list[Need]:
    """Return what building Horovod and onedl-mmcv and making the environment still needs."""
    return [n for n in (COMPILER, C_COMPILER, MAKE, HEADERS, VENV) if n.is_missing()]


def missing_to_test() -> list[Need]:
    """Return what the tests run beside Python and is not there: MPI, Slurm, a browser."""
    return [n for n in (MPICXX, MPIRUN, SLURM, MUNGE, SHELLCHECK, CHROMIUM) if n.is_missing()]


def explain(missing: Sequence[Need]) -> str:
    """Say what is missing and how to get it on each kind of machine."""
    conda = [need.conda for need in missing if need.conda is not None]
    lines = [
        f"this machine lacks {', '.join(need.what for need in missing)}. How to get it:",
        "  Debian, Ubuntu:   apt-get install --no-install-recommends "
        + _words(need.debian for need in missing),
        f"  RHEL, Rocky:      dnf install {_words(need.redhat for need in missing)}",
    ]
    if len(conda) == len(missing):
        lines.append(f"  conda, no root:   conda install -c conda-forge {_words(conda)}")
        lines.append("  cluster:          module load GCC Python (names: `module avail`)")
    return "\n".join(lines)


def _words(packages: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(packages))


def can_install() -> bool:
    """Return whether this process may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_debian_packages(missing: Sequence[Need], logged: Logged) -> None:
    """Install ``missing`` with apt, as root, asking nothing."""
    packages = [package for need in missing for package in need.debian.split()]
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"System packages: {' '.join(packages)}", expected="1 minute"):
        logged.run(["apt-get", "update"], log="apt", environment=environment)
        logged.run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            log="apt",
            environment=environment,
        )


def require(missing: Sequence[Need]) -> None:
    """Raise UsageError that says how to get ``missing``, unless it is empty."""
    if missing:
        raise UsageError(explain(missing))
