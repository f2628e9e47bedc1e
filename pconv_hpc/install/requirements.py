"""Which packages a profile needs: the ranges of ``setup.cfg``, the exact versions of the lock."""

import configparser
import re
from collections.abc import Sequence
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError

# "core" stands for install_requires; the other names are extras of setup.cfg.
PROFILES: dict[str, tuple[str, ...]] = {
    "train": ("core", "train"),
    "erase": ("core", "segment", "page"),
    "full": ("core", "train", "segment", "page"),
    "demo": ("core", "train", "demo"),
    "test": ("core", "train", "segment", "page", "demo", "test"),
}

# What the builds run with. Newer releases of these two break Horovod's build.
BUILD_TOOLS = (
    "cmake >=3.20, <4",
    "ninja",
    "packaging",
    "pip >=25",
    "setuptools >=77, <81",
    "wheel",
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def requirement_name(requirement: str) -> str:
    """Return the normalised name (PEP 503) at the beginning of a requirement."""
    match = _NAME.match(requirement)
    if match is None:
        raise UsageError(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def read_requirements(setup_cfg: Path) -> dict[str, tuple[str, ...]]:
    """Return the requirements of each extra of ``setup_cfg``, and of ``core``."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(setup_cfg.read_text(), source=str(setup_cfg))
    sections = {"core": parser["options"]["install_requires"]}
    sections.update(parser["options.extras_require"])
    return {
        name: tuple(line.strip() for line in text.splitlines() if line.strip())
        for name, text in sections.items()
    }


def select(
    requirements: dict[str, tuple[str, ...]],
    extras: Sequence[str],
    *,
    without: Sequence[str] = (),
    gpu: bool = False,
) -> list[str]:
    """Return what pip installs for ``extras``, leaving out the packages named in ``without``.

    With ``gpu``, TensorFlow brings its CUDA libraries (and NCCL) along.
    """
    selected = [
        requirement
        for extra in extras
        for requirement in requirements[extra]
        if requirement_name(requirement) not in without
    ]
    if gpu:
        selected = [re.sub(r"^tensorflow\b", "tensorflow[and-cuda]", item) for item in selected]
    return selected
