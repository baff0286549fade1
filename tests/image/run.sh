#!/usr/bin/env bash
# Builds the image for real, without a container engine, and runs a session inside it as its own user.
# As root on Debian. The local base image is kept for the next run, the rest is removed.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=docker.io/library/debian:bookworm-slim
image=localhost/sidecar:latest
beside=localhost/beside:test
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sidecar-image-test
log=$cache/log

[ "$(id -u)" = 0 ] || { echo "image-test: run it as root" >&2 && exit 1; }
mkdir -p "$cache"
export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF=$cache/storage.conf
cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "vfs"
graphroot = "$cache/images"
runroot = "$cache/run"
CONF

if ! command -v buildah >/dev/null; then
  echo "image-test: installing buildah"
  { apt-get update && apt-get install -y --no-install-recommends buildah; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2 && exit 1; }
fi

clean() {
  buildah rm --all >/dev/null 2>&1 || true
  buildah rmi --force "$image" "$beside" >/dev/null 2>&1 || true
  buildah rmi --prune >/dev/null 2>&1 || true
}
trap clean EXIT
clean

SECONDS=0
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  echo "image-test: making the local base image"
  bash tests/image/base.sh "$base"
fi
echo "image-test: base after $SECONDS s; building"
buildah bud --pull-never --tag "$image" . >"$log" 2>&1 || { tail -n 30 "$log" >&2 && exit 1; }

container=$(buildah from --pull-never "$image")
entrypoint=$(buildah inspect --type image --format '{{index .OCIv1.Config.Entrypoint 0}}' "$image")
echo "image-test: built after $SECONDS s; a session with $entrypoint"
buildah run --cap-add CAP_SYS_ADMIN --volume "$PWD/tests/image:/session:ro" "$container" -- \
  python3 /session/session.py "$entrypoint"

echo "image-test: after $SECONDS s; an image with a Python of its own takes it along, as README.md says"
{
  echo "FROM $base"
  echo "RUN apt-get update && apt-get install -y --no-install-recommends python3"
  sed -n '/^```dockerfile$/,/^```$/p' README.md | grep -v '^```'
} >"$cache/Dockerfile"
buildah bud --pull-never --tag "$beside" --file "$cache/Dockerfile" tests/image >"$log" 2>&1 || { tail -n 30 "$log" >&2 && exit 1; }
container=$(buildah from --pull-never "$beside")
buildah run --volume "$PWD/tests/image:/session:ro" "$container" -- bash /session/beside.sh
echo "image-test: done after $SECONDS s"
