# TAMU FASTER: up to 10 A100s on a node, 64 cores. Copy to jobs/site.sh; write your account in.
# Not tried there since it was written: `module spider` shows the versions of today.
# More GPUs a node: sbatch --gres=gpu:a100:4 --ntasks-per-node=4 jobs/train_a100.sbatch …
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
