#!/usr/bin/env bash
# Makes a local base image of a Debian release, such as debian:bookworm-slim, out of a bare root, which holds what this machine's
# network needs.
# Arguments: the release, the name of the image, Debian's name of its architecture. Needs root and buildah.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d /var/tmp/sidecar-base.XXXXXX)
trap 'rm -rf --one-file-system "$folder"' EXIT
bash tests/bare/root.sh "$1" "$folder/system" "$3"
cd "$folder/system"
# as in the slim image: no documentation, no translations
rm -rf usr/share/{doc,man,locale}/*
printf '%s\n' path-exclude=/usr/share/{doc,man,locale}/\* >etc/dpkg/dpkg.cfg.d/slim
echo 'Acquire::Languages "none";' >etc/apt/apt.conf.d/slim

container=$(buildah from --arch "$3" scratch)
buildah add --quiet "$container" . / >/dev/null
buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" "$2" >/dev/null
