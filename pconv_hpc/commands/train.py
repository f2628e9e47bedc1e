"""Train PConvUNet on packed photos, on one rank or many."""

from pconv_hpc.foundation.stop_request import StopRequest

STOP_REQUEST = StopRequest().install()  # before all else: a signal may come during the imports

from pathlib import Path  # noqa: E402 (after the line above)

from pconv_hpc.foundation.config import config_to_yaml, load_config, with_absolute_paths  # noqa: E402
from pconv_hpc.options import cli  # noqa: E402

_EXAMPLES = """\
  # one process, on this machine's GPU or cores
  pconv-hpc train configs/tiny_cpu.yaml --run-dir runs/tiny \\
      --set data.train_index=packed/train/index.json --set data.val_index=packed/val/index.json

  # two processes
  mpirun -np 2 pconv-hpc train configs/tiny_cpu.yaml --run-dir runs/tiny --set ...

  # on a cluster
  sbatch jobs/train_a100.sbatch configs/imagenet_256.yaml runs/imagenet_256

If the run folder already holds a run, it is resumed where it stands. USR2, TERM and Ctrl-C save a
checkpoint and exit with code 75; pconv-hpc resume continues.
"""


def main() -> None:
    """Parse, check the configuration, train."""
    parser = cli.build_parser(__doc__ or "", examples=_EXAMPLES)
    parser.add_argument("config", type=Path, help="YAML file; see configs/")
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of this run")
    cli.add_override_argument(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only check the configuration and show it in full"
    )
    arguments = parser.parse_args()
    config = with_absolute_paths(load_config(arguments.config, arguments.overrides))
    if arguments.dry_run:
        print(config_to_yaml(config), end="")
        return
    from pconv_hpc.training.trainer import train  # slow to import: TensorFlow

    train(config, arguments.run_dir, STOP_REQUEST)


if __name__ == "__main__":
    cli.run(main)
