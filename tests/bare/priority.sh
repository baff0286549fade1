# `priority 19` makes the session that calls it run in the time that others leave, and `priority 0` takes it back. Sourced.

priority() {
  renice -n "$1" -g 0 >/dev/null
  # Linux weighs sessions before it weighs their processes
  if [ -w /proc/self/autogroup ]; then echo "$1" >/proc/self/autogroup; fi
}
