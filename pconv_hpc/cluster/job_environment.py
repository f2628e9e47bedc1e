"""What a batch script knows of its job from Slurm, and whether that can work."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pconv_hpc.foundation.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class JobEnvironment:
    """The job that this process is the batch script of."""

    job_id: int
    restart_count: int  # 0 at the first start
    num_nodes: int
    num_tasks: int
    tasks_per_node: int  # on the node that has the most
    gpus_on_node: int  # of the first node; 0 where none were asked for

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "JobEnvironment":
        """Read it from the variables that Slurm sets.

        Raises:
            UsageError: this is no batch job.
        """
        if not environment.get("SLURM_JOB_ID"):
            raise UsageError("this must run inside a Slurm job: sbatch jobs/NAME.sbatch …")
        num_nodes = int(environment.get("SLURM_JOB_NUM_NODES", 1))
        # "2(x3),1": two tasks on each of three nodes, one on the fourth
        counts = re.findall(r"(\d+)(?:\(x\d+\))?", environment.get("SLURM_TASKS_PER_NODE", "1"))
        tasks_per_node = max(map(int, counts))
        return cls(
            job_id=int(environment["SLURM_JOB_ID"]),
            restart_count=int(environment.get("SLURM_RESTART_COUNT") or 0),
            num_nodes=num_nodes,
            num_tasks=int(environment.get("SLURM_NTASKS") or num_nodes * tasks_per_node),
            tasks_per_node=tasks_per_node,
            gpus_on_node=int(environment.get("SLURM_GPUS_ON_NODE") or 0),
        )


def require_packages(names: Sequence[str]) -> None:
    """Raise ``UsageError`` naming every Python package that this environment lacks."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the job's Python has no {', '.join(missing)}: load_environment in the site file must "
            "activate the environment that tools/install.py made (docs/guide/cluster.md, 'Install')"
        )


def require_one_gpu_per_task(job: JobEnvironment) -> None:
    """Raise ``UsageError`` where tasks and GPUs of a node do not match.

    Fewer GPUs than tasks cannot work; more would be paid for and idle.
    """
    if job.gpus_on_node != job.tasks_per_node:
        raise UsageError(
            f"the job has {job.gpus_on_node} GPU(s) and {job.tasks_per_node} task(s) on a node, "
            "but train.require_gpu asks for one GPU each: sbatch --gres=gpu:a100:N "
            "--ntasks-per-node=N (or train.require_gpu=false to train on cores)"
        )
