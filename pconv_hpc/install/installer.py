"""The steps from a checkout to an environment that works, in the order they must happen."""

import hashlib
import os
import tempfile
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pconv_hpc.install import builds, opencv, system, wheel_cache
from pconv_hpc.install.builds import Build, select_builds
from pconv_hpc.install.commands import Logged, locked, say, step
from pconv_hpc.install.environment import Environment, Stamp
from pconv_hpc.install.mpi import PACKAGE as MPI_PACKAGE
from pconv_hpc.install.mpi import PACKAGE_VERSION as MPI_PACKAGE_VERSION
from pconv_hpc.install.mpi import Mpi, find_mpi
from pconv_hpc.install.requirements import BUILD_TOOLS, PROFILES, read_requirements, select
from pconv_hpc.install.toolchain import Toolchain, default_num_jobs, find_cuda


@dataclass(frozen=True, kw_only=True)
class Installer:
    """Installs a profile into the environment ``venv``; what is there already is kept."""

    checkout: Path
    venv: Path
    profile: str
    gpu: bool = False
    use_lock: bool = True

    @cached_property
    def extras(self) -> frozenset[str]:
        """The groups of requirements that the profile stands for."""
        return frozenset(PROFILES[self.profile])

    @cached_property
    def environment(self) -> Environment:
        """The virtual environment."""
        return Environment(self.venv)

    @cached_property
    def toolchain(self) -> Toolchain:
        """What builds compile with."""
        cuda = find_cuda() if self.gpu else None
        return Toolchain(self.environment.python, cuda, default_num_jobs(), self.logged)

    @cached_property
    def logged(self) -> Logged:
        """Runs commands as inside the environment, shielded from the caller's Python settings."""
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = {
            "PATH": path,
            "PYTHONPATH": "",  # modules of clusters set it, and it hides what is installed
            "PYTHONNOUSERSITE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        return Logged(self.venv / "logs", environment=environment)

    def install(self) -> None:
        """Install the profile; return at once when the last installation still stands."""
        if self.is_up_to_date():
            return
        self._require_system()
        with locked(self.venv / ".pconv-install.lock", other="installation"):
            if not self.is_up_to_date():  # another process may have done it meanwhile
                self._install()

    def is_up_to_date(self) -> bool:
        """Return whether a finished installation holds all that this one would put there."""
        stamp = self.environment.read_stamp()
        if stamp is None or stamp.fingerprint != self.fingerprint():
            return False
        if not self.environment.python.exists():  # a link to a Python that was removed
            return False
        keys = self._keys(self.extras, self._builds(self.extras))
        return self.extras <= {*stamp.extras} and keys.items() <= stamp.wheels.items()

    def fingerprint(self) -> str:
        """Return a digest of all the content follows from, beside the extras and what is built."""
        sources = [self.checkout / "setup.cfg", *sorted(Path(__file__).parent.glob("*.py"))]
        if self.use_lock:
            sources.append(self._lock)
        settings = (wheel_cache.platform_key(), self.toolchain.cuda, self.checkout, self.venv)
        digest = hashlib.sha256(repr(settings).encode())
        for source in sources:
            digest.update(source.read_bytes())
        return digest.hexdigest()

    def plan(self) -> list[str]:
        """Return what ``install`` would do, one line a step, without doing any of it."""
        if self.is_up_to_date():
            return [f"nothing to do: {self.venv} has all of profile {self.profile}"]
        lines = []
        if missing := self._missing():
            if self.profile == "test" and system.can_install():
                lines.append(f"apt-get install {' '.join(need.debian for need in missing)}")
            else:
                lines.append(f"stop: {system.explain(missing)}")
        lines.append(f"make the virtual environment {self.venv}")
        lines.extend(f"pip install {item}" for item in self._packages(self.extras))
        cache = wheel_cache.cache_dir()
        lines.extend(
            f"install {build.package} from {cache}, compiled first if it is not there"
            for build in self._builds(self.extras)
        )
        lines.append("check that everything imports and fits together")
        return lines

    @property
    def _lock(self) -> Path:
        return self.checkout / "tools" / "constraints.txt"

    @cached_property
    def _requirements(self) -> dict[str, tuple[str, ...]]:
        return read_requirements(self.checkout / "setup.cfg")

    def _mpi(self, extras: Set[str]) -> Mpi | None:
        return find_mpi(self.venv) if "train" in extras else None

    def _builds(self, extras: Set[str]) -> list[Build]:
        mpi = self._mpi(extras)
        return select_builds(extras, self.environment, mpi=mpi, toolchain=self.toolchain)

    def _keys(self, extras: Set[str], selected: list[Build]) -> dict[str, str]:
        keys = {build.package: build.key for build in selected}
        if mpi := self._mpi(extras):  # one wheel may serve several
            keys["mpi"] = mpi.name
        return keys

    def _packages(self, extras: Set[str]) -> list[str]:
        packages = select(self._requirements, sorted(extras), without=builds.PACKAGES, gpu=self.gpu)
        if (mpi := self._mpi(extras)) and mpi.from_package:
            packages.append(f"{MPI_PACKAGE} =={MPI_PACKAGE_VERSION}")
        return packages

    def _missing(self) -> list[system.Need]:
        missing = system.missing_to_build()
        if self.profile == "test":
            missing += system.missing_to_test()
        return missing

    def _require_system(self) -> None:
        missing = self._missing()
        if missing and self.profile == "test" and system.can_install():
            system.install_debian_packages(missing, self.logged)
            missing = self._missing()
        system.require(missing)

    def _install(self) -> None:
        stamp = self.environment.read_stamp()
        # What an earlier profile brought must stay consistent with what this one brings.
        extras = self.extras.union(stamp.extras if stamp else ())
        self.environment.remove_stamp()
        say(f"Setting up {self.venv} for: {', '.join(sorted(extras))}")
        with step("Virtual environment", expected="10 seconds"):
            self.environment.create(self.logged)
            for package in self.environment.discard_incomplete():
                say(f"    {package} was left half installed: installing it again")
        with tempfile.TemporaryDirectory(prefix="pconv-install-") as temporary:
            pip_install = self._pip_install(Path(temporary))
            with step("Build tools", expected="20 seconds"):
                self._install_build_tools(pip_install, Path(temporary))
            size = "4 minutes, 1.5 GB" if "segment" in extras else "2 minutes, 1 GB"
            with step("Python packages", expected=f"about {size}"):
                self._install_packages(pip_install, extras)
            selected = self._builds(extras)
            for build in selected:
                builds.install_build(build, self.toolchain)
            with step("pconv_hpc itself, editable", expected="20 seconds"):
                named = ",".join(sorted(extras - {"core"}))
                target = f"{self.checkout}[{named}]"
                self.logged.run([*pip_install, "--editable", target], log="pconv-hpc")
        self._check(extras)
        keys = self._keys(extras, selected)
        self.environment.write_stamp(Stamp(self.fingerprint(), tuple(sorted(extras)), keys))
        say(f"{self.venv} is ready.")

    def _pip_install(self, folder: Path) -> list[str | Path]:
        """Return the command that installs within the lock, or within the ranges without it."""
        constraints = self._lock
        if not self.use_lock:
            constraints = folder / "constraints.txt"
            ranges = [item for items in self._requirements.values() for item in items]
            constraints.write_text("\n".join([*BUILD_TOOLS, *ranges]) + "\n")
        return self.environment.pip("install", "--no-build-isolation", "--constraint", constraints)

    def _install_build_tools(self, pip_install: list[str | Path], folder: Path) -> None:
        # Two commands: the first may replace pip itself, and setuptools must be there for the rest.
        self.logged.run([*pip_install, *BUILD_TOOLS], log="build-tools")
        # Before anything asks for the packages they stand for; one of an earlier version goes.
        stand_ins = opencv.write_stand_ins(folder)
        self.logged.run([*pip_install, "--no-deps", *stand_ins], log="build-tools")

    def _install_packages(self, pip_install: list[str | Path], extras: Set[str]) -> None:
        mpi = self._mpi(extras)
        if mpi and not mpi.from_package and self.environment.version_of(MPI_PACKAGE):
            self.logged.run(self.environment.pip("uninstall", "--yes", MPI_PACKAGE), log="packages")
        self.logged.run(
            [*pip_install, *self._packages(extras)],
            log="packages",
            hint="Is a package index reachable from here? (On many clusters: login nodes only.)",
        )

    def _check(self, extras: Set[str]) -> None:
        with step("Check that it works", expected="30 seconds"):
            self.logged.run(self.environment.pip("check"), log="check")
            for extra in sorted({*extras, "gpu"} if self.gpu and "train" in extras else extras):
                words = ("-m", "pconv_hpc.install.smoke", extra)
                command = [str(self.environment.python), *words]
                last_line = self.logged.run(command, log="check", cwd=self.checkout)
                say(f"    {last_line}")
