#!/usr/bin/env bash
# Becomes COMMAND in the Apptainer image that PCONV_IMAGE names. No image has Slurm's commands, nor may
# it: those that COMMAND runs are run outside, and the ranks of its srun are in the image again.
#   source jobs/site.sh && jobs/in_image.sh pconv-hpc erase photos/ out/ --classes person --tasks 64
# Common.sh starts every job this way where the site file sets PCONV_IMAGE; docs/guide/install.md.
set -euo pipefail

jobs_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
slurm_commands=(sacct sbatch scancel scontrol sinfo squeue srun)
# What an image sets for itself. All other variables are the same inside and outside.
image_variables='^(PATH|LD_LIBRARY_PATH|LD_PRELOAD|PWD|OLDPWD|SHLVL|_|PS1|PROMPT_COMMAND|PYTHONPATH|(APPTAINER|SINGULARITY)[^=]*)='

fail() {
    echo "error: $1" >&2
    exit 2
}

# run_outside REQUEST: runs what outside.sh wrote into the folder REQUEST.
run_outside() {
    local words environment at=2 status=0
    mapfile -d '' words <"$1/words"
    mapfile -d '' environment < <(
        grep -zvE "$image_variables" "$1/environment"
        env -0 | grep -zE "$image_variables"
    )
    if [[ ${words[1]} == srun ]]; then
        while [[ ${words[at]:-} == --*=* ]]; do ((at += 1)); done
        words=("${words[@]:0:at}" bash "$jobs_dir/in_image.sh" "${words[@]:at}")
    fi
    {
        (cd "${words[0]}" && exec env -i "${environment[@]}" "${words[@]:1}") || status=$?
        echo "$status" >"$1/status"
    } </dev/null >"$1/stdout" 2>"$1/stderr"
}

is_running() {
    kill -0 "$1" 2>/dev/null || [[ -d /proc/$1 ]]
}

# serve PID: runs what is asked for until the process PID has ended.
serve() {
    local request
    trap : TERM USR2 # of the whole job: its program decides
    trap 'kill $(jobs -p) || true; rm -rf "$PCONV_RELAY"' EXIT
    exec 3<>"$PCONV_RELAY/requests"
    while is_running "$1"; do
        if read -r -t 1 -u 3 request; then run_outside "$PCONV_RELAY/$request" & fi
    done
}

(($# > 0)) || fail "expected a command: jobs/in_image.sh pconv-hpc …"
[[ -e ${PCONV_IMAGE:?"the site file must set it to a .sif file"} ]] ||
    fail "PCONV_IMAGE=$PCONV_IMAGE: there is no such image (docs/guide/install.md says how to build it)"
runner="$(command -v apptainer || command -v singularity)" ||
    fail "PCONV_IMAGE needs apptainer or singularity on the PATH; load it in load_environment"
PCONV_IMAGE="$(realpath "$PCONV_IMAGE")"
for left in "${TMPDIR:-/tmp}"/pconv-relay.*; do # by one that Slurm killed
    pid="${left##*/pconv-relay.}"
    if [[ -O $left ]] && ! is_running "${pid%.*}"; then rm -rf "$left"; fi
done
PCONV_RELAY="$(mktemp -d "${TMPDIR:-/tmp}/pconv-relay.$$.XXXXXX")"
export PCONV_IMAGE PCONV_RELAY
mkdir "$PCONV_RELAY/bin"
mkfifo "$PCONV_RELAY/requests"
for name in "${slurm_commands[@]}"; do
    if command -v "$name" >/dev/null; then
        install --mode=755 "$jobs_dir/outside.sh" "$PCONV_RELAY/bin/$name"
    fi
done
serve $$ </dev/null >/dev/null 2>&1 &

options=(--bind "$PCONV_RELAY" --bind "${jobs_dir%/jobs}")
if [[ -e /dev/nvidiactl ]]; then options+=(--nv); fi
# Where PMIx of this Slurm step keeps its files.
if [[ -d ${PMIX_SERVER_TMPDIR:-} ]]; then options+=(--bind "$PMIX_SERVER_TMPDIR"); fi
# The modules of the cluster are for its own Python; the package of this checkout is for both.
unset PYTHONPATH
if [[ -d ${jobs_dir%/jobs}/pconv_hpc ]]; then export PYTHONPATH="${jobs_dir%/jobs}"; fi
# shellcheck disable=SC2016 # expanded inside
exec "$runner" exec "${options[@]}" "$PCONV_IMAGE" \
    /bin/sh -c 'PATH="$PCONV_RELAY/bin:$PATH"; exec "$@"' sh "$@"
