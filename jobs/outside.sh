#!/usr/bin/env bash
# In an image, under the name of a command of Slurm: has that command run outside, by in_image.sh.
set -euo pipefail
trap : TERM USR2 # the command hears of them from Slurm itself

request="$(mktemp -d "$PCONV_RELAY/request.XXXXXX")"
mkfifo "$request/stdout" "$request/stderr"
printf '%s\0' "$PWD" "${0##*/}" "$@" >"$request/words"
env -0 >"$request/environment"
echo "${request##*/}" >"$PCONV_RELAY/requests"
(trap '' TERM USR2 && exec cat "$request/stderr") >&2 &
(trap '' TERM USR2 && exec cat "$request/stdout")
wait || true
status="$(<"$request/status")"
rm -r "$request"
exit "$status"
