# What your cluster needs. Copy this file, or one of jobs/sites/, to jobs/site.sh, which git ignores.
# Every job sources it. In a shell, `source jobs/site.sh` sets what sbatch itself must know.
# shellcheck shell=bash disable=SC2034

# Read by sbatch; what is not set, the cluster chooses. Options of the command line win.
export SBATCH_ACCOUNT=your_account
export SBATCH_PARTITION=gpu

# How ranks are started: srun-pmix (default), srun-pmi2, mpirun, or gloo (no MPI).
export LAUNCHER=srun-pmix

# Where jobs may not requeue themselves: they submit their successor instead.
# export PCONV_REQUEUE=no

# A folder on each node's own disk: shards are copied there if they fit. Unset: read in place.
# export PCONV_STAGE_DIR="${TMPDIR:-/tmp}/pconv_stage"

# An Apptainer image that jobs run in (docs/guide/install.md); load_environment may then go.
# export PCONV_IMAGE="$HOME/pconv_hpc.sif"

# Called in the job: after it `python` is the one of the environment that tools/install.py made.
load_environment() {
    module purge
    module load GCC OpenMPI Python
    # shellcheck disable=SC1091
    source "$HOME/pconv_hpc/.venv/bin/activate"
}
