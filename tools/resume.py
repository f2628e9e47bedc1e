#!/usr/bin/env python
"""Say where a training run stands, and continue it on exactly the next sample."""

import os
import sys
from pathlib import Path

from pconv_hpc import cli
from pconv_hpc.config import (
    apply_overrides,
    config_from_mapping,
    config_to_mapping,
    with_absolute_paths,
)
from pconv_hpc.launch import is_first_process, mpirun_command, shell_line
from pconv_hpc.training.run_folder import RunFolder, check_continuation
from pconv_hpc.training.run_status import describe, read_run_status

_EXAMPLES = """\
  python tools/resume.py runs/imagenet_256 --dry-run      # only say where it stands
  python tools/resume.py runs/imagenet_256                # continue here, one process
  python tools/resume.py runs/imagenet_256 --ranks 2      # continue here with two
  mpirun -np 4 python tools/resume.py runs/imagenet_256   # the same, launched by hand
  python tools/resume.py runs/imagenet_256 --set train.epochs=64

Any number of ranks continues any run: batches and their order do not depend on it.
"""


def main() -> None:
    """Parse, report, continue."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("run_dir", type=Path, help="folder of the run")
    parser.add_argument(
        "--ranks", type=cli.positive_int, help="start so many processes with mpirun"
    )
    cli.add_override_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    arguments = parser.parse_args()

    folder = RunFolder(arguments.run_dir)
    old = folder.load_config()
    mapping = apply_overrides(config_to_mapping(old), arguments.overrides)
    config = with_absolute_paths(config_from_mapping(mapping))
    changed = check_continuation(old, config, folder.path)
    command = [sys.executable, str(Path(__file__).with_name("train.py"))]
    command += [str(folder.config_path), "--run-dir", str(folder.path)]
    for override in arguments.overrides:
        command += ["--set", override]
    if arguments.ranks:
        command = mpirun_command(arguments.ranks, command)

    if is_first_process(os.environ):
        print(describe(read_run_status(arguments.run_dir)))
        print(f"changes     {', '.join(changed) or 'none'}")
        print(f"command     {shell_line(command)}", flush=True)
    if arguments.dry_run:
        return
    if arguments.ranks:
        os.execv(command[0], command)
    from pconv_hpc.training.trainer import train  # slow to import: TensorFlow

    train(config, arguments.run_dir)


if __name__ == "__main__":
    cli.run(main)
