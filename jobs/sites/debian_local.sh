# The local Slurm that tools/local_slurm.py starts: root, no accounts, no modules, no real GPUs.
# shellcheck shell=bash
export LAUNCHER="${LAUNCHER:-srun-pmix}"
# mpirun refuses to run as root unless it is told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

load_environment() {
    PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.venv/bin:$PATH"
}
