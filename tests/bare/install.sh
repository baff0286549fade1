#!/usr/bin/env bash
# Runs README.md's block on a scraper's own virtual environment, and asks the sidecar that it installed. Leaves `venv`
# behind, and needs the network of pip: `make fresh-test` calls it in its root.
set -euo pipefail
cd "$(dirname "$0")/../.."

block=$(sed -n '/^python3 -m venv venv$/,/^```$/p' README.md | grep -v '^```')
[ -n "$block" ]
PIP_QUIET=1 bash -euo pipefail -c "$block"
[ "$(echo '{"type":"ping","id":1}' | venv/bin/sidecar | tail -n 1)" = '{"type":"pong","id":1}' ]
echo "bare: the sidecar is installed as README.md says, and answers"
