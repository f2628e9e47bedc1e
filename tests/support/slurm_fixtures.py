"""Clusters of a test's own, beside the one that tests/integration/cluster shares."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pconv_hpc.local_slurm.local_cluster import LocalCluster
from tests.support.fake_slurm import FakeSlurm


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path, monkeypatch)


@pytest.fixture
def cluster_folder() -> Iterator[Path]:
    """A short path that does not exist yet (pytest's tmp_path is too long for Slurm's sockets).

    Whatever runs in it is stopped at the end, and nothing of it may stay.
    """
    parent = Path(tempfile.mkdtemp(prefix="pslurm-", dir="/tmp"))
    folder = parent / "c"
    yield folder
    LocalCluster(folder).stop()
    assert processes_of(folder) == []
    shutil.rmtree(parent)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it ended while we looked
                continue
            if bytes(folder) in command:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found
