"""The packages that are compiled here rather than by pip, and how long that takes."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pconv_hpc.install import horovod, mmcv, wheel_cache
from pconv_hpc.install.commands import step
from pconv_hpc.install.environment import Environment
from pconv_hpc.install.mpi import Mpi
from pconv_hpc.install.toolchain import Toolchain

PACKAGES = ("horovod", "onedl-mmcv")


@dataclass(frozen=True)
class Build:
    """A wheel to take from the cache; ``run`` builds it into a folder when it is not there."""

    package: str
    key: str
    core_minutes: int
    run: Callable[[Path], None]


def select_builds(
    extras: Set[str], environment: Environment, *, mpi: Mpi | None, toolchain: Toolchain
) -> list[Build]:
    """Return the builds that ``extras`` need against what is installed in ``environment``."""
    cuda = toolchain.cuda
    selected = []
    if mpi is not None:
        key = horovod.key(environment.version_of("tensorflow") or "none", mpi, cuda)
        run = partial(horovod.build, toolchain=toolchain, mpi=mpi)
        selected.append(Build("horovod", key, 6, run))
    if "segment" in extras:
        key = mmcv.key(environment.version_of("torch") or "none", cuda)
        selected.append(Build("onedl-mmcv", key, 13, partial(mmcv.build, toolchain=toolchain)))
    return selected


def install_build(build: Build, toolchain: Toolchain) -> None:
    """Install a build's wheel, built now unless the cache has it."""
    jobs = toolchain.num_jobs
    minutes = max(1, round(build.core_minutes / jobs))
    expected = (
        "from the wheel cache"
        if wheel_cache.find(build.key)
        else f"compiled once, about {minutes} min with {jobs} jobs"
    )
    with step(f"{build.package} in {wheel_cache.cache_dir() / build.key}", expected=expected):
        wheel = wheel_cache.get_or_build(build.key, build.run)
        toolchain.pip("install", "--force-reinstall", "--no-deps", str(wheel), log=build.package)
