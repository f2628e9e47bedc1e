"""Wheels that are compiled once and kept outside the checkout, by what they were built against.

A wheel lies in ``CACHE/<key>/<file>.whl``, where the key names every version its binary depends
on. It appears there by a rename, so a build that was interrupted leaves nothing behind, and
checkouts on a shared file system may build at the same time.
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError
from pconv_hpc.install.commands import locked


def cache_dir() -> Path:
    """Return ``$PCONV_WHEEL_CACHE``, by default ``pconv_hpc/wheels`` in the user's cache."""
    if chosen := os.environ.get("PCONV_WHEEL_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "pconv_hpc" / "wheels"


def platform_key() -> str:
    """Return what every binary depends on: Python's ABI, the C library, the processor family."""
    libc, version = platform.libc_ver()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{libc or 'libc'}{version}-{platform.machine()}"


def wheel_key(name: str, version: str, *built_against: str) -> str:
    """Return the name of the folder a wheel is kept in."""
    key = "-".join([name, version, platform_key(), *built_against])
    return re.sub(r"[^A-Za-z0-9._+-]", "_", key)


def find(key: str) -> Path | None:
    """Return the wheel kept under ``key``, or None."""
    return next(iter(sorted((cache_dir() / key).glob("*.whl"))), None)


def get_or_build(key: str, build: Callable[[Path], None]) -> Path:
    """Return the wheel kept under ``key``; if there is none, ``build`` it into the given folder."""
    cache = cache_dir()
    building = f".building-{key}-"
    with locked(cache / f".{key}.lock", other="build of the same wheel") as is_alone:
        if (wheel := find(key)) is not None:
            return wheel
        if is_alone:
            for killed in cache.glob(f"{building}*"):
                shutil.rmtree(killed)
        with tempfile.TemporaryDirectory(prefix=building, dir=cache) as temporary:
            out = Path(temporary) / "out"
            out.mkdir()
            build(out)
            built = sorted(out.glob("*.whl"))
            if len(built) != 1:
                raise PconvError(
                    f"the build for {key} left {len(built)} wheels, expected one: "
                    f"{', '.join(wheel.name for wheel in built) or 'none'}"
                )
            shutil.rmtree(cache / key, ignore_errors=True)  # a folder without a wheel in it
            os.replace(out, cache / key)
    return cache / key / built[0].name
