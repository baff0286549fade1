#!/usr/bin/env bash
# Runs inside an image that has a Python of its own and took the sidecar along: what stands first in its PATH?
set -euo pipefail

[ "$(ls /opt/sidecar/bin)" = sidecar ]
[ "$(command -v python3)" = /usr/bin/python3 ]
[ "$(python3 -c 'import sys; print(sys.prefix)')" = /usr ]
for program in python pip; do
  [[ $(command -v $program || true) != /opt/sidecar/* ]]
done
[ "$(echo '{"type":"ping","id":1}' | sidecar | tail -n 1)" = '{"type":"pong","id":1}' ]
echo "image-test: sidecar is in the PATH, and python3 is the image's own"
