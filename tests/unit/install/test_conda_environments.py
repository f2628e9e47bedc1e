"""The environments for conda: the ranges of setup.cfg, under conda-forge's names."""

import re
from pathlib import Path

import pytest
import yaml

from pconv_hpc.install import mmcv
from pconv_hpc.install.requirements import PROFILES, read_requirements, requirement_name, select
from tests.support.paths import REPOSITORY

CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "opencv-contrib-python-headless": "py-opencv",
    "torch": "pytorch",
}
# What the environment's head installs with pip, because conda-forge has no such package.
BY_HAND = {"onedl-mmcv", "onedl-mmdetection", "onedl-mmengine"}
PROFILE_OF = {"environment.yml": "train", "environment-erase.yml": "erase"}


def ranges(items: list[str]) -> dict[str, str]:
    """Return the text after each name, without blanks and without conda's builds."""
    return {
        requirement_name(item): re.sub(
            r"=cuda\*$", "", item[re.match(r"[\w-]+", item).end() :]
        ).replace(" ", "")
        for item in items
    }


@pytest.mark.parametrize("name", PROFILE_OF)
def test_every_requirement_of_the_profile_is_there_with_its_range(name: str) -> None:
    path = REPOSITORY / "docs" / name
    *packages, by_pip = yaml.safe_load(path.read_text())["dependencies"]
    found = ranges([*packages, *by_pip["pip"]])
    requirements = read_requirements(REPOSITORY / "setup.cfg")
    for package, wanted in ranges(select(requirements, PROFILES[PROFILE_OF[name]])).items():
        if package in BY_HAND:
            assert f" {package}==" in path.read_text()
        elif package in ("tensorflow", "torch", "horovod"):  # one release, which the range allows
            assert found[CONDA_NAMES.get(package, package)].startswith("=")
        else:
            assert found[CONDA_NAMES.get(package, package)] == wanted, package


def test_the_mmcv_that_is_named_is_the_one_that_is_built() -> None:
    assert (
        f"onedl-mmcv=={mmcv.VERSION}\n"
        in Path(REPOSITORY / "docs/environment-erase.yml").read_text()
    )
