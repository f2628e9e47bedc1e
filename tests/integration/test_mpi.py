"""Ranks that share work: collectives, and an end for all when one fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import mpirun_command
from pconv_hpc.foundation.mpi import World
from tests.support.paths import REPOSITORY


def run_python(code: str, *, num_ranks: int = 1, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        mpirun_command(num_ranks, command) if num_ranks > 1 else command,
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
    )


def test_alone() -> None:
    world = World({})
    assert (world.rank, world.size, world.is_first) == (0, 1, True)
    assert world.broadcast("x") == "x"
    assert world.gather("x") == ["x"]
    world.barrier()
    with pytest.raises(UsageError), world.ending_together():
        raise UsageError("as it was")


def test_a_single_process_never_loads_mpi() -> None:
    code = (
        "import sys; from pconv_hpc.foundation.mpi import World; World(); "
        "sys.exit('mpi4py' in sys.modules)"
    )
    assert run_python(code).returncode == 0


@pytest.mark.mpi
def test_ranks_start_where_there_is_no_ssh(tmp_path: Path) -> None:
    result = run_python("print('here')", num_ranks=2, PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (0, "here\nhere\n"), result.stderr


@pytest.mark.mpi
def test_collectives(tmp_path: Path) -> None:
    code = """
import os
from pathlib import Path
from pconv_hpc.foundation.mpi import World
world = World()
assert world.broadcast(f"from {world.rank}") == "from 0"
gathered = world.gather(world.rank * 10)
assert gathered == ([0, 10, 20] if world.is_first else None), gathered
world.barrier()
Path(os.environ["OUT"], str(world.rank)).touch()  # lines of ranks that print would mix
"""
    result = run_python(code, num_ranks=3, OUT=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        ("UsageError('a bad photo')", 2, "error (rank 1): a bad photo"),
        ("Interrupted('later')", 75, "error (rank 1): later"),
        ("KeyboardInterrupt", 75, "rank 1 was interrupted"),
        ("ZeroDivisionError('a bug')", 1, "ZeroDivisionError: a bug"),
    ],
)
def test_one_rank_that_fails_ends_all(failure: str, code: int, message: str) -> None:
    script = f"""
from pconv_hpc.foundation.errors import Interrupted, UsageError
from pconv_hpc.foundation.mpi import World
world = World()
with world.ending_together():
    if world.rank == 1:
        raise {failure}
    world.barrier()
"""
    result = run_python(script, num_ranks=2)
    assert result.returncode == code, result.stderr
    assert message in result.stderr


@pytest.mark.parametrize(
    ("module", "name", "library"),
    [("foundation.mpi", "World", "MPI"), ("training.distributed", "Ranks", "Horovod")],
)
@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("0", "4 ranks were started, but {library} sees 1"),
        ("", "allocation has 4 tasks, but neither srun nor mpirun started this process"),  # salloc
    ],
)
def test_ranks_that_do_not_see_each_other_refuse_to_work(
    module: str, name: str, library: str, step: str, message: str
) -> None:
    code = (
        f"from pconv_hpc.{module} import {name}; from pconv_hpc.options.cli import run; run({name})"
    )
    result = run_python(code, SLURM_NTASKS="4", SLURM_STEP_ID=step)
    assert result.returncode == 1
    assert message.format(library=library) in result.stderr
    assert "--mpi=pmix" in result.stderr
