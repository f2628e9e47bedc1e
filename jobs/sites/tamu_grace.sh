# TAMU Grace: 2 A100s, 48 cores and 360 GB a GPU node. Copy to jobs/site.sh; write your account in.
# Not tried there since it was written: `module spider` shows the versions of today.
# shellcheck shell=bash
export SBATCH_ACCOUNT=your_account # myproject -l
export SBATCH_PARTITION=gpu

export LAUNCHER=srun-pmix # srun --mpi=list; mpirun and gloo work too
export PCONV_STAGE_DIR="${TMPDIR:-/tmp}/pconv_stage"

load_environment() {
    module purge
    module load GCC/13.2.0 OpenMPI/4.1.6 Python/3.11.5
    # shellcheck disable=SC1091
    source "$SCRATCH/pconv_hpc/.venv/bin/activate"
}
