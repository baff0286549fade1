#!/usr/bin/env bash
# Builds the image for real, without a container engine, and tries it: sessions inside it as its own user, and /opt/sidecar in
# images of other makes. As root on Debian. The local base images are kept for the next run, the rest is removed.
# Argument: Debian's name of an architecture, as in arm64, if it is not this machine's: QEMU stands in for its processor.
set -euo pipefail
cd "$(dirname "$0")/../.."
architecture=${1:-$(dpkg --print-architecture)}
base=docker.io/library/debian:bookworm-slim
older=localhost/older:bullseye
image=localhost/sidecar:latest
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sidecar-image-test/$architecture
log=$cache/log

[ "$(id -u)" = 0 ] || { echo "image-test: run it as root" >&2 && exit 1; }
mkdir -p "$cache"
export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=$cache/storage.conf
overlays() { # whether layers can lie over each other here, which spares a copy of all files for each
  local try=$cache/overlay works=1
  mkdir -p "$try"/{lower,upper,work,merged}
  mount -t overlay overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/merged" 2>/dev/null &&
    umount "$try/merged" && works=0
  rm -rf "$try"
  return $works
}
driver=vfs
if overlays; then driver=overlay; fi
cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "$driver"
graphroot = "$cache/images-$driver"
runroot = "$cache/run"
CONF

if ! command -v buildah >/dev/null; then
  echo "image-test: installing buildah"
  { apt-get update && apt-get install -y --no-install-recommends buildah; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2 && exit 1; }
fi

case $architecture in
  amd64) processor=x86_64 ;;
  arm64) processor=aarch64 ;;
  *) processor=$architecture ;;
esac
if [ "$architecture" != "$(dpkg --print-architecture)" ] && [ ! -e "/proc/sys/fs/binfmt_misc/qemu-$processor" ]; then
  echo "image-test: installing QEMU for $architecture"
  mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  { apt-get update && apt-get install -y --no-install-recommends qemu-user-static binfmt-support; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2 && exit 1; }
fi

SECONDS=0
say() { echo "image-test: after $SECONDS s: $*"; }

clean() {
  buildah rm --all >/dev/null 2>&1 || true
  buildah rmi --force "$image" localhost/beside:{bare,python,older} >/dev/null 2>&1 || true
  buildah rmi --prune >/dev/null 2>&1 || true
}
trap clean EXIT
clean

for made in "bookworm $base" "bullseye $older"; do
  set -- $made
  buildah inspect --type image "$2" >/dev/null 2>&1 && continue
  say "making the local base image $2"
  bash tests/image/base.sh "$1" "$2" "$architecture"
done

build() { # tag, then what `buildah bud` needs
  local tag=$1
  shift
  buildah bud --arch "$architecture" --pull-never --format docker --tag "$tag" "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2 && exit 1; }
}

megabytes() { # of the files that an image has
  local container mounted
  container=$(buildah from --arch "$architecture" --pull-never "$1")
  mounted=$(buildah mount "$container")
  du --summarize --block-size=MB "$mounted${2:-}" | cut -f1
  buildah rm "$container" >/dev/null
}

say "building"
build "$image" .
say "built: /opt/sidecar has $(megabytes "$image" /opt/sidecar), the runtime $(megabytes "$image")"

inside() { # options of `buildah run` --, a command
  buildah run --volume "$PWD/tests/image:/session:ro" "$@"
}
container=$(buildah from --arch "$architecture" --pull-never "$image")
say "the compiled code of Playwright's driver"
inside "$container" -- /opt/sidecar/python/bin/python3 -Ic '
from sidecar.browser.processes import compile_cache
from sidecar.settings import Settings
cache = Settings().cache_path()
assert compile_cache.variables(cache), f"{cache} is not used"
folder = cache / "driver"
assert sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) > 100_000, f"{folder} is empty"
'

sessions() { # with a browser
  local session=(/opt/sidecar/python/bin/python3 -I /session/session.py) entrypoint health confined
  entrypoint=$(buildah inspect --type image --format '{{range .Docker.Config.Entrypoint}}{{.}} {{end}}' "$image")
  health=$(buildah inspect --type image --format '{{range .Docker.Config.Healthcheck.Test}}{{.}} {{end}}' "$image")
  say "a session with $entrypoint, and Chromium in its own sandbox"
  inside --cap-add CAP_SYS_ADMIN "$container" -- "${session[@]}" $entrypoint
  say "a session without Chromium's sandbox"
  inside --env SIDECAR_CHROMIUM_SANDBOX=false "$container" -- "${session[@]}" $entrypoint
  say "the health check: ${health#CMD }"
  inside --cap-add CAP_SYS_ADMIN "$container" -- ${health#CMD }
  confined=$(buildah from --pull-never --security-opt "seccomp=$PWD/image/seccomp.json" --cap-add CAP_SYS_ADMIN "$image")
  say "a session under image/seccomp.json"
  inside --cap-add CAP_SYS_ADMIN "$confined" -- "${session[@]}" $entrypoint
}
if [ "$architecture" = "$(dpkg --print-architecture)" ]; then
  sessions
else
  say "QEMU lacks a system call of tini's: no sessions with a browser"
fi

beside() { # name, base, packages: an image takes /opt/sidecar along, as README.md says
  {
    echo "FROM $2"
    if [ -n "$3" ]; then echo "RUN apt-get update && apt-get install -y --no-install-recommends $3"; fi
    sed -n '/^```dockerfile$/,/^```$/p' README.md | grep -v '^```'
  } >"$cache/Dockerfile"
  build "localhost/beside:$1" --file "$cache/Dockerfile" tests/image
  say "/opt/sidecar in $2 with ${3:-nothing else}"
  inside "$(buildah from --arch "$architecture" --pull-never "localhost/beside:$1")" -- bash /session/beside.sh
}
beside bare "$base" ""
beside python "$base" "python3 python3-requests"
beside older "$older" ""
say "done"
