#!/usr/bin/env bash
# Lets `sidecar conformance --client` use the client: see docs/writing-a-client.md. It asks one thing at a time.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/sidecar.bash"

sidecar_event() {
  local event=${1#*'"event":"'} content=${1#*'"content":'}
  printf '{"event":"%s","content":%s}\n' "${event%%'"'*}" "${content%'}'}"
}

sidecar_start "$@" 2>/dev/null || { echo '{"ended":true}' && exit; }
sidecar_ask hello '{"notifications":true}'
while IFS= read -r wanted; do # {"as":"a","type":"ping","content":…}, in this order
  name=${wanted#'{"as":"'} type=${wanted#*'"type":"'} content=''
  name=${name%%'"'*} type=${type%%'"'*}
  if [[ $wanted == *'"content":'* ]]; then content=${wanted#*'"content":'} content=${content%'}'}; fi
  if sidecar_ask "$type" "$content"; then
    printf '{"as":"%s","content":%s}\n' "$name" "${SIDECAR_CONTENT:-null}"
  elif [[ $SIDECAR_CODE == ended ]]; then
    printf '{"as":"%s","ended":true}\n' "$name"
  else
    detail=${SIDECAR_REPLY#*'"error":'}
    if [[ $SIDECAR_REPLY == *'},"id":'* ]]; then detail=${detail%,*}; else detail=${detail%'}'}; fi
    printf '{"as":"%s","error":%s}\n' "$name" "$detail"
  fi
done
sidecar_close
printf '{"closed":%s}\n' "$?"
