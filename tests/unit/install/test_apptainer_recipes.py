"""Apptainer's recipes: what they copy, install and start exists, and both are alike."""

import re
import subprocess
from pathlib import Path

import pytest

from pconv_hpc.install import system
from pconv_hpc.install.requirements import PROFILES
from pconv_hpc.install.smoke import CHECKS
from tests.support.apptainer_recipes import CPU_RECIPE, RECIPES_DIR, Recipe, readme_packages
from tests.support.paths import REPOSITORY

RECIPES = sorted(RECIPES_DIR.glob("*.def"))
SCRIPTS = ("post", "environment", "runscript", "test")
# Debian's packages that make a network secure, and InfiniBand's drivers for NCCL.
NOT_TO_BUILD = {"ca-certificates", "ibverbs-providers"}


@pytest.fixture(params=RECIPES, ids=lambda path: path.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return Recipe.read(request.param)


def test_there_is_one_for_cpus_and_one_for_gpus() -> None:
    assert [path.name for path in RECIPES] == ["pconv_hpc-cpu.def", "pconv_hpc.def"]


def test_all_that_a_wheel_is_built_of_is_copied(recipe: Recipe) -> None:
    assert all((REPOSITORY / source).exists() for source, _ in recipe.files)
    assert all(target == f"/opt/pconv_hpc/{source}" for source, target in recipe.files)
    copied = {source for source, _ in recipe.files}
    assert copied >= {"pconv_hpc", "configs", "jobs", "tools", "setup.cfg", "pyproject.toml"}
    assert copied >= {"README.md", "LICENSE"}, "setup.cfg names these"


def test_what_is_installed_is_what_the_installer_asks_for(recipe: Recipe) -> None:
    packages = set(
        re.search(r"--no-install-recommends \\\n(.*)", recipe.sections["post"])[1].split()
    )
    needs = (
        system.COMPILER,
        system.MAKE,
        system.HEADERS,
        system.VENV,
        system.MPICXX,
        system.MPIRUN,
    )
    assert packages - NOT_TO_BUILD == {need.debian for need in needs}
    (profile,) = re.findall(r"tools/install\.py --profile (\w+)", recipe.sections["post"])
    assert set(PROFILES[profile]) == {"core", "train", "segment", "page"}


def test_every_check_and_program_that_is_started_exists(recipe: Recipe) -> None:
    checks = set(re.findall(r"pconv_hpc\.install\.smoke (\w+)", recipe.sections["test"]))
    assert set(PROFILES["full"]) <= checks <= set(CHECKS)
    programs = re.findall(r"^ +pconv-hpc ([\w-]+)", recipe.sections["test"], re.MULTILINE)
    assert programs
    for name in programs:
        assert (REPOSITORY / "pconv_hpc" / "commands" / f"{name.replace('-', '_')}.py").is_file()
    assert recipe.sections["runscript"].split() == ["exec", "pconv-hpc", '"$@"']


@pytest.mark.parametrize("section", SCRIPTS)
def test_every_script_is_one_that_sh_reads(recipe: Recipe, section: str) -> None:
    script = recipe.sections[section]
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC2164", "-"],  # any error ends a section
        input=script, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_two_differ_only_in_what_is_for_gpus() -> None:
    cpu, gpu = (path.read_text().splitlines() for path in RECIPES)
    only_cpu = [line.strip() for line in cpu if line not in gpu]
    assert len(only_cpu) <= 9, only_cpu
    for line in only_cpu:
        assert re.search(r"cpu|CPUs|debian:12|^ca-certificates|--profile full$", line), line


def test_variables_are_filled_in_and_unknown_ones_refused(tmp_path: Path) -> None:
    assert (
        "PIP_EXTRA_INDEX_URL=file:///wheels "
        in (Recipe.read(CPU_RECIPE, {"torch_index": "file:///wheels"}).sections["post"])
    )
    with pytest.raises(ValueError, match="colour is not among its %arguments"):
        Recipe.read(CPU_RECIPE, {"colour": "red"})
    unset = tmp_path / "unset.def"
    unset.write_text("Bootstrap: docker\nFrom: debian:12\n\n%post\n    echo {{ colour }}\n")
    with pytest.raises(ValueError, match="colour is not among its %arguments"):
        Recipe.read(unset)


def test_the_readme_names_what_a_bare_debian_lacks() -> None:
    needs = (system.COMPILER, system.MAKE, system.HEADERS, system.VENV)
    assert set(readme_packages()) == {"ca-certificates", *(need.debian for need in needs)}
