#!/usr/bin/env bash
# Runs a command on a copy of this folder in a bare root of a Debian release, as on a machine that was just set up. The
# root is a new one, and removed afterwards. Arguments: the release, the packages that it has beside the smallest set, a
# command line; one that prepares it. As root on Debian; needs the network of apt and pip, for set-up. Between the two it
# waits for the lock of the file BARE_TURN, if that is set; what stands in the file says why there is no turn.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bare/priority.sh
release=$1 packages=$2 command=$3 prepare=${4:-true} turn=${BARE_TURN:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sidecar-bare
root=$cache/$release.root

[ "$(id -u)" = 0 ] || { echo "bare: run it as root" >&2 && exit 1; }
mkdir -p "$cache"
exec 8>"$cache/$release.lock"
flock --nonblock 8 || { echo "bare: another run in a root of $release is under way; waiting for its end" && flock 8; }

# What is mounted below the root is mounted in the run's own namespace, which has ended by then: here it is a plain folder.
remove() { rm -rf --one-file-system "$root"; }
trap remove EXIT
remove

SECONDS=0
bash tests/bare/root.sh "$release" "$root"
mkdir "$root/root/sidecar"
# what git knows or would take: nothing that was built here, no .venv, no caches
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
  tar --null --files-from - -cf - | tar -C "$root/root/sidecar" -xf -
echo "bare: a root of $release after $SECONDS s"

export root packages command prepare turn
export -f priority
passed=()
for name in CI SIDECAR_REQUIRE_ALL {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
  if [ -n "${!name:-}" ]; then passed+=("$name=${!name}"); fi
done

# a process namespace too: nothing that the command leaves running outlives it, nor does the command outlive us
unshare --mount --propagation private --pid --fork --kill-child bash -euo pipefail -c '
  mount --bind "$root" "$root"
  cd "$root"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=0755 tmpfs dev
  for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  for number in 0 1 2; do ln -s fd/$number dev/$(set -- stdin stdout stderr; shift $number; echo $1); done

  inside() {
    chroot . /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      DEBIAN_FRONTEND=noninteractive "$@" </dev/null
  }
  log=$(mktemp)
  { inside apt-get update && inside apt-get install -y --no-install-recommends $packages; } >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2 && exit 1; }
  rm "$log"
  echo "bare: it has $packages, after '"$SECONDS"' s and $SECONDS s"
  inside "$@" bash -c "cd /root/sidecar && $prepare"
  echo "bare: it is prepared after '"$SECONDS"' s and $SECONDS s"
  if [ -n "$turn" ]; then
    exec 7<"$turn"
    flock 7
    if [ -s "$turn" ]; then cat "$turn" >&2 && exit 1; fi
    priority 0
  fi
  inside "$@" bash -c "cd /root/sidecar && $command" 7>&-
' bare "${passed[@]}" 8>&-
echo "bare: done after $SECONDS s"
