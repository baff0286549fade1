#!/bin/sh
# Starts Playwright's driver in a session of its own: what is meant for our process group (a terminal's hang-up,
# timeout(1), a service manager's stop) is ours to handle, and must not end the browser under a running job.
# The driver still ends with us, by the end of its standard input.
command -v setsid >/dev/null && exec setsid "$DRIVER_NODE" "$@"
exec "$DRIVER_NODE" "$@"
