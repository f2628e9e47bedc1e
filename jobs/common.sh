# Sourced by every job script: finds the site file, loads the environment, runs the work.
# shellcheck shell=bash
set -euo pipefail

jobs_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
site_file="${PCONV_SITE:-$jobs_dir/site.sh}"

fail() {
    echo "error: $1" >&2
    exit 2
}

[[ -r $site_file ]] || fail "$site_file is missing: copy jobs/site.example.sh, or the one of your \
cluster in jobs/sites/, to jobs/site.sh (docs/guide/cluster.md)"
set +eu # site files and modules are written for interactive shells
# shellcheck source=jobs/site.example.sh
source "$site_file"
if [[ -z ${PCONV_IMAGE:-} ]] || declare -F load_environment >/dev/null; then
    load_environment || fail "load_environment in $site_file failed"
fi
set -eu

export LAUNCHER="${LAUNCHER:-srun-pmix}"
if [[ -n ${PCONV_IMAGE:-} ]]; then
    [[ $LAUNCHER != mpirun ]] ||
        fail "LAUNCHER=mpirun cannot start ranks in PCONV_IMAGE; use srun-pmix or gloo"
    export PCONV_IMAGE
    python=(bash "$jobs_dir/in_image.sh" python)
else
    python=(python)
    python -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "python on the PATH that load_environment made is missing or older than 3.11"
fi
export PYTHONUNBUFFERED=1
# The package of this checkout comes first; where these files are a package's own, it is installed.
if [[ -d ${jobs_dir%/jobs}/pconv_hpc ]]; then
    export PYTHONPATH="${jobs_dir%/jobs}${PYTHONPATH:+:$PYTHONPATH}"
fi
# Since Slurm 22.05 srun no longer takes over the job's --cpus-per-task.
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}" OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
# Shared file systems may lack locks; every file here is written under another name, then renamed.
export HDF5_USE_FILE_LOCKING=FALSE
# Ranks that wait for a lost one end after this time, so that the job does.
export HOROVOD_STALL_SHUTDOWN_TIME_SECONDS="${HOROVOD_STALL_SHUTDOWN_TIME_SECONDS:-900}"

# run_module MODULE ARGUMENT…: hands this process over, so that Slurm's signals reach the program.
run_module() {
    exec "${python[@]}" -m "$@"
}

# run_job SCRIPT KIND ARGUMENT…
run_job() {
    export PCONV_JOB_SCRIPT="$jobs_dir/$1"
    shift
    run_module pconv_hpc.jobs.requeue.run_job "$@"
}
