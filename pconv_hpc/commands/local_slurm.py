"""Start, inspect and stop a real Slurm cluster of virtual GPU nodes on this machine."""

import argparse
import sys
from pathlib import Path

from pconv_hpc.foundation.errors import EXIT_DONE, EXIT_FAILED
from pconv_hpc.local_slurm.local_cluster import DEFAULT_FOLDER, LocalCluster
from pconv_hpc.options.cli import build_parser, run

_DESCRIPTION = """\
Run a real Slurm (slurmctld, slurmd, munged) of virtual nodes with fake A100s on this machine, in
one folder, to try job scripts without spending an allocation. Needs root and the Debian packages
slurm-wlm, slurm-wlm-basic-plugins, munge and libpmix2. start prints the line to run in your shell
on standard output."""

_EXAMPLES = """\
  eval "$(pconv-hpc local-slurm start)"     # then: sinfo, sbatch, squeue
  pconv-hpc local-slurm start --nodes 4 --gpus-per-node 2 --dir /tmp/four
  pconv-hpc local-slurm status
  pconv-hpc local-slurm stop                # ends its jobs too; the logs stay
"""


def _start(arguments: argparse.Namespace) -> int:
    cluster = LocalCluster(arguments.dir)
    started = cluster.start(num_nodes=arguments.nodes, gpus_per_node=arguments.gpus_per_node)
    if not started:
        print("already running; nothing was started", file=sys.stderr)
    print(_describe(cluster), file=sys.stderr)
    print(cluster.export_line)
    return EXIT_DONE


def _status(arguments: argparse.Namespace) -> int:
    cluster = LocalCluster(arguments.dir)
    print(_describe(cluster))
    if not cluster.is_running():
        return EXIT_FAILED
    print(cluster.export_line)
    return EXIT_DONE


def _describe(cluster: LocalCluster) -> str:
    status = cluster.status()
    return status.describe() if status else f"no cluster runs in {cluster.folder}"


def _stop(arguments: argparse.Namespace) -> int:
    cluster = LocalCluster(arguments.dir)
    was_running = cluster.stop()
    print(f"stopped {cluster.folder}" if was_running else f"no cluster ran in {cluster.folder}")
    return EXIT_DONE


def main() -> int:
    parser = build_parser(_DESCRIPTION, examples=_EXAMPLES)
    commands = parser.add_subparsers(required=True, metavar="start|status|stop")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--dir",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="DIR",
        help="folder for the cluster's files: a short path, new or empty (default: %(default)s)",
    )
    start = commands.add_parser("start", parents=[where], help="start it and wait until it is idle")
    start.add_argument("--nodes", type=int, default=2, help="virtual nodes (default: %(default)s)")
    start.add_argument(
        "--gpus-per-node", type=int, default=4, help="fake A100s per node (default: %(default)s)"
    )
    start.set_defaults(call=_start)
    status = commands.add_parser("status", parents=[where], help="exit 0 if it runs, 1 if not")
    status.set_defaults(call=_status)
    stop = commands.add_parser(
        "stop", parents=[where], help="stop it, end its jobs and remove its files but the logs"
    )
    stop.set_defaults(call=_stop)
    arguments = parser.parse_args()
    code: int = arguments.call(arguments)
    return code


if __name__ == "__main__":
    run(main)
