"""Imports point one way; see docs/architecture.md."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pconv_hpc"

# folder → what nothing in it may import, directly, wherever in a file the import stands
ABOVE = ["pconv_hpc.training", "pconv_hpc.erasing", "pconv_hpc.slurm", "pconv_hpc.cli", "argparse"]
FORBIDDEN = {
    "data": [*ABOVE, "keras", "tensorflow", "torch", "jax", "horovod", "pconv_hpc.model"],
    "model": [*ABOVE, "tensorflow", "torch", "jax", "horovod", "pconv_hpc.data"],
    "importing": [*ABOVE, "keras", "tensorflow", "jax", "horovod", "pconv_hpc.data"],
    "training": ["torch", "argparse", "pconv_hpc.erasing", "pconv_hpc.cli"],
    "erasing": ["horovod", "argparse", "pconv_hpc.training", "pconv_hpc.cli"],
    "evaluation": ["horovod", "argparse", "pconv_hpc.training", "pconv_hpc.cli"],
}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_a_layer_imports_nothing_it_must_not_know(folder: str) -> None:
    files = sorted((PACKAGE / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files
        for name in imports_of(path)
        if any(is_within(name, module) for module in FORBIDDEN[folder])
    ]
    assert wrong == []


def test_horovod_is_imported_in_one_file() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(is_within(name, "horovod.tensorflow") for name in imports_of(path))
    }
    assert importers == {"training/distributed.py"}


def test_h5py_is_imported_where_its_locking_is_set() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(is_within(name, "h5py") for name in imports_of(path))
    }
    assert importers == {"hdf5.py"}
