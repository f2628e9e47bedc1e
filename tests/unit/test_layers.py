"""Imports point one way, those of the tests too; see docs/reference/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PACKAGE = REPOSITORY / "pconv_hpc"
TESTS = REPOSITORY / "tests"

# Every folder of the package, from what knows least to what knows most: a folder may use those
# above it. Those on one line do not know each other.
RANKS: tuple[tuple[str, ...], ...] = (
    ("foundation",),
    ("foundation/arrays",),
    ("cluster", "photos"),
    ("photos/metadata",),
    ("photos/formats",),
    ("photos/sources",),
    ("masks",),
    ("shards", "model"),
    ("model/importing",),
    ("training", "segmentation", "inpainting"),
    ("harvest", "erasing"),
    ("erasing/folder",),
    ("evaluation/figures",),
    ("evaluation/measuring",),
    ("evaluation/reports",),
    ("evaluation", "demo"),
    ("options",),
    ("jobs/requeue",),
    ("jobs/erase_array",),
    ("jobs", "local_slurm", "install"),
    ("page/processes",),
    ("page/review",),
    ("page",),
    ("commands",),
)
RANK = {folder: rank for rank, folders in enumerate(RANKS) for folder in folders}

SLOW = ("keras", "tensorflow", "torch", "jax")
# folder → what nothing in it may import besides, wherever in a file the import stands
FORBIDDEN = {
    "foundation": (*SLOW, "horovod", "argparse"),
    "cluster": (*SLOW, "horovod.tensorflow", "argparse"),
    "photos": (*SLOW, "horovod", "argparse"),
    "masks": (*SLOW, "horovod", "argparse"),
    "shards": (*SLOW, "horovod", "argparse"),
    "model": ("tensorflow", "torch", "jax", "horovod", "argparse"),
    "model/importing": ("tensorflow", "jax", "horovod", "argparse"),
    "training": ("torch", "argparse"),
    "segmentation": ("keras", "tensorflow", "horovod", "argparse", "pconv_hpc.model.unet"),
    "inpainting": ("torch", "mmdet", "horovod", "argparse"),
    "harvest": ("keras", "tensorflow", "horovod", "argparse"),
    "erasing": (*SLOW, "horovod", "argparse"),
    "evaluation": ("horovod", "argparse"),
    "jobs": (*SLOW,),
    "options": (*SLOW, "horovod"),
    "page": (*SLOW, "horovod", "argparse"),
}


def modules_of(path: Path) -> Iterator[str]:
    """Yield what a file imports, and each name that it takes from there."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def folder_of(module: str) -> str | None:
    """Return the folder of a module of the package; ``None`` for others and the package itself."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    if not path.is_relative_to(PACKAGE) or not path.with_suffix(".py").is_file():
        return None
    folder = path.parent.relative_to(PACKAGE).as_posix()
    return None if folder == "." else folder


def folders() -> list[str]:
    """Return the folders that hold modules."""
    found = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    return sorted(found - {"."})


def uses_of(folder: str) -> dict[str, list[str]]:
    """Return which other folders a folder imports from, and the imports."""
    uses: dict[str, list[str]] = {}
    for path in sorted((PACKAGE / folder).glob("*.py")):
        for module in modules_of(path):
            other = folder_of(module)
            if other is not None and other != folder:
                uses.setdefault(other, []).append(f"{path.relative_to(PACKAGE)} imports {module}")
    return uses


def ruled_by(path: Path) -> str:
    """Return the closest folder around a file that ``FORBIDDEN`` names."""
    parents = (parent.relative_to(PACKAGE).as_posix() for parent in path.parents)
    return next(parent for parent in parents if parent in FORBIDDEN)


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_every_folder_has_its_rank() -> None:
    assert folders() == sorted(RANK)


@pytest.mark.parametrize("folder", folders())
def test_a_folder_imports_only_from_those_above_it(folder: str) -> None:
    wrong = [
        line
        for other, lines in uses_of(folder).items()
        for line in lines
        if RANK[other] >= RANK[folder]
    ]
    assert wrong == []


def test_no_two_folders_import_each_other() -> None:
    uses = {folder: set(uses_of(folder)) for folder in folders()}
    circles = {tuple(sorted((a, b))) for a, others in uses.items() for b in others if a in uses[b]}
    assert circles == set()


def test_no_two_rooms_import_each_other() -> None:
    """A room is a folder with all that is in it."""
    pairs = {
        (folder.split("/")[0], other.split("/")[0])
        for folder in folders()
        for other in uses_of(folder)
    }
    assert {pair for pair in pairs if pair[::-1] in pairs and pair[0] != pair[1]} == set()


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_a_room_imports_nothing_it_must_not_know(folder: str) -> None:
    files = [path for path in sorted((PACKAGE / folder).rglob("*.py")) if ruled_by(path) == folder]
    assert files
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files
        for name in modules_of(path)
        if any(is_within(name, module) for module in FORBIDDEN[folder])
    ]
    assert wrong == []


def test_horovod_is_imported_in_one_file() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(is_within(name, "horovod.tensorflow") for name in modules_of(path))
    }
    assert importers == {"training/distributed.py"}


def test_h5py_is_imported_where_its_locking_is_set() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(is_within(name, "h5py") for name in modules_of(path))
    }
    assert importers == {"foundation/arrays/hdf5.py"}


@pytest.mark.parametrize("folder", folders())
def test_a_folder_can_be_taken_in_at_a_glance(folder: str) -> None:
    files = [path for path in (PACKAGE / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= (17 if folder == "commands" else 16)  # commands: one file a program
    lengths = {path.name: len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def is_test_module(module: str) -> bool:
    """Return whether pytest collects tests from a module, and it is no name within one."""
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    return path.is_relative_to(TESTS) and path.match("test_*.py") and path.is_file()


def test_no_test_module_is_imported_by_another_file_of_the_tests() -> None:
    """What tests share is in tests/support, so that each may be changed or removed alone."""
    wrong = [
        f"{path.relative_to(TESTS)} imports {module}"
        for path in sorted(TESTS.rglob("*.py"))
        for module in modules_of(path)
        if is_test_module(module)
    ]
    assert wrong == []
