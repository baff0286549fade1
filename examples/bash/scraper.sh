#!/usr/bin/env bash
# The smallest useful scraper in bash: a child process, and lines of JSON in and out. Nothing but bash is needed.
# The sidecar's command is the arguments, `sidecar` where there are none:
#     examples/bash/scraper.sh .venv/bin/sidecar
set -euo pipefail

if (($# == 0)); then set -- sidecar; fi
coproc SIDECAR { exec "$@"; }
pid=$SIDECAR_PID
# Copies, for bash closes its own when the sidecar ends, and the last lines would be lost.
exec {from}<&"${SIDECAR[0]}" {to}>&"${SIDECAR[1]}" {SIDECAR[0]}<&- {SIDECAR[1]}>&-

fail() {
  printf 'failed: %s\n' "$1" >&2
  exit 1
}

answer() {
  read -r -t 60 reply <&"$from" || fail "the sidecar has ended, or is silent"
  [[ $reply != '{"type":"error"'* ]] || fail "$(sentence "${reply//\\\"/\'}")"
}

# What is wrong, and what to do: two members of the error.
sentence() {
  local message=${1#*'"message":"'} hint=${1#*'"hint":"'}
  echo "${message%%'"'*}"
  [[ $hint == "$1" ]] || echo "${hint%%'"'*}"
}

# Requests without an id are answered in order, so the next line is the answer.
ask() {
  printf '%s\n' "$1" >&"$to"
  answer
}

answer # ready
ask '{"type":"set_mock","content":{}}' # or set_credentials

for reference in bash-1 bash-2 bash-1; do
  ask '{"type":"has_cached_reference","content":"'"$reference"'"}'
  if [[ $reply == *'"content":true'* ]]; then
    echo "$reference: was sent before"
    continue
  fi
  ask '{"type":"send_cv","content":{"referenceNumber":"'"$reference"'","title":"Something scraped"}}'
  [[ $reply == *'"content":true'* ]] && matched="matched" || matched="no match"
  ask '{"type":"set_cached_reference","content":"'"$reference"'"}'
  echo "$reference: sent, $matched"
done

exec {to}>&- # the sidecar finishes and ends
wait "$pid"
