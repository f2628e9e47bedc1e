"""Become one rank of Horovod's Gloo: ``python -m pconv_hpc.cluster.gloo_rank PROGRAM ARGUMENT …``.

``srun`` starts this as each task. It says in Horovod's own variables what Slurm said in its, and
becomes the program.
"""

import os
import re
import sys
from collections.abc import Mapping


def tasks_of_nodes(tasks_per_node: str) -> list[int]:
    """Return each node's number of tasks from Slurm's shorthand: ``"2(x3),1"`` → 2, 2, 2, 1."""
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks_per_node):
        counts += [int(count)] * int(times or 1)
    return counts


def horovod_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what ``horovodrun`` would tell the rank that Slurm calls ``SLURM_PROCID``.

    Horovod numbers the ranks of equal local rank across the nodes: cross rank and cross size.
    The node's name is Slurm's: virtual nodes share one host name.
    """
    node, local_rank = int(environment["SLURM_NODEID"]), int(environment["SLURM_LOCALID"])
    tasks = tasks_of_nodes(environment["SLURM_STEP_TASKS_PER_NODE"])
    has_peer = [count > local_rank for count in tasks]
    return {
        "HOROVOD_HOSTNAME": environment["SLURMD_NODENAME"],
        "HOROVOD_RANK": environment["SLURM_PROCID"],
        "HOROVOD_SIZE": environment["SLURM_NTASKS"],
        "HOROVOD_LOCAL_RANK": str(local_rank),
        "HOROVOD_LOCAL_SIZE": str(tasks[node]),
        "HOROVOD_CROSS_RANK": str(sum(has_peer[:node])),
        "HOROVOD_CROSS_SIZE": str(sum(has_peer)),
    }


def main() -> None:
    """Set the variables and become the program."""
    os.execvpe(sys.argv[1], sys.argv[1:], os.environ | horovod_variables(os.environ))


if __name__ == "__main__":
    main()
