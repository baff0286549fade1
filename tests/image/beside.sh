#!/usr/bin/env bash
# Runs inside an image that took /opt/sidecar along: the sidecar works, and shadows nothing that the image has.
set -euo pipefail

[ "$(ls /opt/sidecar/bin)" = sidecar ]
for program in python python3 pip playwright saq node; do
  [[ $(readlink -f "$(command -v $program || true)") != /opt/sidecar/* ]]
done
if command -v python3 >/dev/null; then
  [ "$(python3 -c 'import sys; print(sys.prefix)')" = /usr ]
  python3 -c 'import requests'
  echo "image-test: python3 and its requests are the image's own"
fi
TIMEFORMAT="image-test: start, pong and end take %R s"
time answers=$(echo '{"type":"ping","id":1}' | sidecar)
[ "$(tail -n 1 <<<"$answers")" = '{"type":"pong","id":1}' ]
lines='{"type":"set_mock"}
{"type":"send_cv","content":{"referenceNumber":"1"}}
{"type":"send_job","content":{"steps":[{"url":"data:text/html,<h1>Hello</h1>"}]}}'
answers=$(sidecar <<<"$lines")
grep -q '"code":"browser_unavailable"' <<<"$answers"
[ "$(sed -n 3p <<<"$answers")" = '{"type":"ok","content":true}' ]
echo "image-test: a session works, and a job says that there is no browser"
grep -q 'final class Sidecar' <<<"$(sidecar client php)"
echo "image-test: the clients for other languages are in it"
