#!/usr/bin/env bash
# The same parent as parent.py, in bash.
set -euo pipefail
how=$1
shift
folder=$(mktemp -d)
mkfifo "$folder/stderr"
exec 9<>"$folder/stderr" # and never read
coproc SIDECAR { exec "$@" 2>&9; }
# shellcheck disable=SC2153 # coproc sets it
pid=$SIDECAR_PID
exec 3<&"${SIDECAR[0]}" 4>&"${SIDECAR[1]}" {SIDECAR[1]}>&-

ask() {
  local answer
  read -r answer <&3
  printf '%s\n' "$answer"
}

if [ "$how" = "one by one" ]; then
  ask # ready
  while read -r line; do
    printf '%s\n' "$line" >&4
    ask
  done
  exec 4>&-
else
  cat >&4
  exec 4>&-
  cat <&3
fi
code=0
wait "$pid" || code=$?
rm -r "$folder"
echo "$code"
