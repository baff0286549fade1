#!/usr/bin/env bash
# The small scraper: sends what was not sent before. Its arguments are the sidecar's command: bash scraper.bash sidecar
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/sidecar.bash"

ask() {
  sidecar_ask "$@" && return
  echo "failed: $SIDECAR_ERROR" >&2
  exit 1
}

sidecar_start "$@" || exit 1
ask set_mock '{"secrets":{"user":{"username":"demo","password":"demo"}}}' # or set_credentials
ask get_user_secret '{"encryption_key":"any, in mock mode"}'
user=${SIDECAR_CONTENT#*'"username":"'}
echo "scraping as ${user%%'"'*}"

for reference in cv-1 cv-2 cv-1; do
  ask has_cached_reference "$(sidecar_string "$reference")"
  if [[ $SIDECAR_CONTENT == true ]]; then
    echo "$reference: was sent before"
    continue
  fi
  ask send_cv '{"referenceNumber":'"$(sidecar_string "$reference")"',"title":"Something scraped"}'
  [[ $SIDECAR_CONTENT == true ]] && matched="matched" || matched="no match"
  ask set_cached_reference "$(sidecar_string "$reference")"
  echo "$reference: sent, $matched"
done

sidecar_close
