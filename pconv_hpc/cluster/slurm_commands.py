"""Slurm's command lines as pure functions: how ranks are launched, how jobs are submitted."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pconv_hpc.foundation.errors import UsageError

_NO_GRES = ("(null)", "cpu", "mem", "node", "billing", "energy")
LAUNCHERS = "srun-pmix, srun-pmi2 (or srun- and another of 'srun --mpi=list'), mpirun, gloo"
# What Slurm tells the ranks of srun. A rank of mpirun inherits these from mpirun itself, or on
# other nodes from Open MPI's daemon, and they say nothing about it.
_OF_SRUN_RANKS = ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_PROCID", "SLURM_LOCALID")


def launch_command(launcher: str, *, num_tasks: int, program: Sequence[str]) -> list[str]:
    """Return the command that starts ``program`` as ``num_tasks`` ranks on all of a job's nodes.

    ``--kill-on-bad-exit``: a rank that dies would leave the others waiting forever.

    Raises:
        UsageError: there is no such launcher.
    """
    srun = ["srun", f"--ntasks={num_tasks}", "--kill-on-bad-exit=1"]
    if launcher.startswith("srun-"):
        return [*srun, f"--mpi={launcher.removeprefix('srun-')}", *program]
    if launcher == "gloo":
        return [*srun, "--mpi=none", program[0], "-m", "pconv_hpc.cluster.gloo_rank", *program]
    if launcher == "mpirun":
        unset = [word for name in _OF_SRUN_RANKS for word in ("-u", name)]
        return ["mpirun", "-np", str(num_tasks), "--bind-to", "none", "env", *unset, *program]
    raise UsageError(f"LAUNCHER={launcher}: expected one of {LAUNCHERS}")


def once_per_node_command(num_nodes: int, program: Sequence[str]) -> list[str]:
    """Return the command that runs ``program`` once on each node of a job."""
    shape = [f"--nodes={num_nodes}", f"--ntasks={num_nodes}", "--ntasks-per-node=1"]
    return ["srun", *shape, "--mpi=none", *program]


def requeue_command(job_id: int | str) -> list[str]:
    """Return the command that ends this start of a job and puts it back into the queue.

    A task of an array is named ``ARRAY_INDEX``: the array's number alone means all its tasks.
    """
    return ["scontrol", "requeue", str(job_id)]


def sbatch_command(
    script: Path, arguments: Sequence[str], *, options: Mapping[str, str]
) -> list[str]:
    """Return the command that submits ``script``; ``options`` are sbatch's long ones."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return ["sbatch", "--parsable", *words, str(script), *arguments]


def job_name(kind: str, folder: Path) -> str:
    """Return the name of a job that works in a folder.

    Line breaks go: in ``scontrol show job`` what follows one could pass for another field.
    """
    shown = "".join(letter if letter.isprintable() else "?" for letter in folder.name)
    return f"pconv-{kind}-{shown}"


def sbatch_line(site: Path, command: Sequence[str]) -> str:
    """Return a line for bash that submits with the account and partition of a site file.

    As in ``jobs/common.sh``, the exit code of the site file's last line says nothing.
    """
    return f"source {shlex.quote(str(site))}; {shlex.join(command)}"


def options_of_job(record: Mapping[str, str]) -> dict[str, str]:
    """Return sbatch's options for a job like the one ``scontrol show job`` described.

    Options given on the command line are found again that way; ``--signal`` is not shown by Slurm
    and comes from the job script.
    """
    shown = {
        "nodes": record.get("NumNodes", "").partition("-")[0],
        "ntasks-per-node": record.get("NtasksPerN:B:S:C", "").partition(":")[0],
        "cpus-per-task": record.get("CPUs/Task", ""),
        "mem": record.get("MinMemoryNode", ""),
        "mem-per-cpu": record.get("MinMemoryCPU", ""),
        "time": record.get("TimeLimit", ""),
        "partition": record.get("Partition", ""),
        "account": record.get("Account", ""),
        "qos": record.get("QOS", ""),
        "constraint": record.get("Features", ""),
        "reservation": record.get("Reservation", ""),
    }
    options = {n: v for n, v in shown.items() if v not in ("", "(null)", "N/A", "0", "*")}
    if shown["mem"] == "0" and not options.get("mem-per-cpu"):
        options["mem"] = "0"  # all of the node's
    return options | _gpu_options(record)


def _gpu_options(record: Mapping[str, str]) -> dict[str, str]:
    """Return the GPUs asked for; ``gres=none`` takes back what the job script asks for."""
    for name, option in (("TresPerTask", "gpus-per-task"), ("TresPerJob", "gpus")):
        gpus = [part for part in _gres_of(record.get(name, "")) if part.startswith("gpu:")]
        if gpus:
            return {"gres": "none", option: ",".join(gpus).removeprefix("gpu:")}
    return {"gres": ",".join(_gres_of(record.get("TresPerNode", ""))) or "none"}


def _gres_of(text: str) -> list[str]:
    """Return ``gpu:a100:2`` and the like from a list of resources, but not CPUs and memory.

    Slurm 22.05 writes ``gres:gpu:a100:2``, newer ones ``cpu=16,gres/gpu:a100=2``.
    """
    parts = (p.replace("/", ":").replace("=", ":").removeprefix("gres:") for p in text.split(","))
    return [part for part in parts if part and part.partition(":")[0] not in _NO_GRES]
