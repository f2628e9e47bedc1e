"""Show where a training run stands, and resume it on exactly the next sample.

Where Slurm is available, a job like the run's last one is submitted, and options such as --nodes
change it. Without Slurm, inside a job, and with --local, the run continues on this machine.
"""

import argparse
import os
from pathlib import Path

from pconv_hpc.foundation.config import (
    apply_overrides,
    config_from_mapping,
    config_to_mapping,
    with_absolute_paths,
)
from pconv_hpc.foundation.errors import UsageError
from pconv_hpc.foundation.launchers import (
    is_first_process,
    mpirun_command,
    program_command,
    shell_line,
)
from pconv_hpc.jobs.requeue.resubmit import (
    continuation_line,
    require_unlocked,
    should_submit,
    site_file,
    submit,
)
from pconv_hpc.options import cli
from pconv_hpc.options.sbatch import add_sbatch_options, sbatch_options_of
from pconv_hpc.training.run_folder import RunFolder, check_continuation
from pconv_hpc.training.run_status import describe, read_run_status

_EXAMPLES = """\
  pconv-hpc resume runs/imagenet_256 --dry-run      # only show where it stands
  pconv-hpc resume runs/imagenet_256                # on a cluster: submit; else run here
  pconv-hpc resume runs/imagenet_256 --nodes 4 --time 12:00:00
  pconv-hpc resume runs/imagenet_256 --local        # continue here, one process
  pconv-hpc resume runs/imagenet_256 --ranks 2      # continue here with two
  mpirun -np 4 pconv-hpc resume runs/imagenet_256   # the same, launched by hand
  pconv-hpc resume runs/imagenet_256 --set train.epochs=64

Any number of ranks continues any run: batches and their order do not depend on it.
"""
_SBATCH_OPTIONS = {
    "nodes": "nodes of the job",
    "ntasks-per-node": "ranks on each node: one per GPU",
    "gres": "GPUs on each node, such as gpu:a100:4",
    "time": "time limit of each start, such as 12:00:00",
    "partition": "partition to submit to",
    "account": "account to charge",
    "qos": "quality of service",
}


def main() -> None:
    """Parse, report, continue."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("run_dir", type=Path, help="folder of the run")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--local", action="store_true", help="continue here instead of submitting a job"
    )
    where.add_argument(
        "--ranks", type=cli.positive_int, help="continue here with this many ranks under mpirun"
    )
    add_sbatch_options(parser, _SBATCH_OPTIONS)
    cli.add_override_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    arguments = parser.parse_args()

    folder = RunFolder(arguments.run_dir)
    old = folder.load_config()
    mapping = apply_overrides(config_to_mapping(old), arguments.overrides)
    config = with_absolute_paths(config_from_mapping(mapping))
    changed = check_continuation(folder, config)
    given = sbatch_options_of(arguments, _SBATCH_OPTIONS)
    here = arguments.local or arguments.ranks or not should_submit(os.environ)
    if here and given:
        raise UsageError(
            f"--{next(iter(given))} is for a Slurm job, and this continuation runs here "
            "(--local, --ranks, inside a job, or no Slurm answers)"
        )
    site = site_file(os.environ)
    local_command = _local_command(arguments, folder)
    line = (
        shell_line(local_command)
        if here
        else continuation_line(folder.path, given=given, overrides=arguments.overrides, site=site)
    )
    if is_first_process(os.environ):
        print(describe(read_run_status(arguments.run_dir)))
        print(f"changes     {', '.join(changed) or 'none'}")
        print(f"command     {line}", flush=True)
    if arguments.dry_run:
        return
    if not here:
        require_unlocked(folder.path)
        print(f"submitted   job {submit(line, site)}")
        return
    if arguments.ranks:
        os.execv(local_command[0], local_command)
    from pconv_hpc.training.trainer import train  # slow to import: TensorFlow

    train(config, arguments.run_dir)


def _local_command(arguments: argparse.Namespace, folder: RunFolder) -> list[str]:
    command = [*program_command("train"), str(folder.config_path), "--run-dir", str(folder.path)]
    for override in arguments.overrides:
        command += ["--set", override]
    return mpirun_command(arguments.ranks, command) if arguments.ranks else command


if __name__ == "__main__":
    cli.run(main)
