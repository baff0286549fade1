#!/usr/bin/env bash
# Makes the local stand-in for debian:bookworm-slim. What this machine's network needs (its CA bundle, its pip settings,
# its apt sources) goes in here and nowhere else. Argument: name of the image. Needs root, debootstrap and buildah.
set -euo pipefail

pip_option() { # the host's value, unless it points at this machine's own files
  local value
  value=$(python3 -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.$1='\(.*\)'$/\1/p" | tail -n 1)
  case $value in http*) echo "$1 = $value" ;; esac
}

bundle() { # the first CA bundle that this machine's programs were told to use
  local file
  for file in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" "${CURL_CA_BUNDLE:-}"; do
    if [ -f "$file" ]; then echo "$file" && return; fi
  done
}

root=$(mktemp -d /var/tmp/sidecar-base.XXXXXX)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root/system" >"$root/log" 2>&1 || { tail -n 20 "$root/log" >&2 && exit 1; }
cd "$root/system"
rm -rf var/cache/apt/archives/*.deb var/lib/apt/lists/* usr/share/{doc,man,locale}/*
# as in the slim image: no fsync for each file, no documentation, no translations
printf '%s\n' force-unsafe-io path-exclude=/usr/share/{doc,man,locale}/\* >etc/dpkg/dpkg.cfg.d/slim
echo 'Acquire::Languages "none";' >etc/apt/apt.conf.d/slim

if [ -f /etc/apt/sources.list.d/debian.sources ]; then
  rm etc/apt/sources.list
  cp /etc/apt/sources.list.d/debian.sources etc/apt/sources.list.d/
elif [ -s /etc/apt/sources.list ]; then
  cp /etc/apt/sources.list etc/apt/sources.list
fi

{
  echo "[global]"
  pip_option index-url
  pip_option extra-index-url
} >etc/pip.conf
ca=$(bundle)
if [ -n "$ca" ]; then
  install -D --mode=0644 "$ca" etc/ssl/local-ca.pem
  echo "cert = /etc/ssl/local-ca.pem" >>etc/pip.conf
fi

container=$(buildah from scratch)
buildah add --quiet "$container" . / >/dev/null
buildah config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah commit --quiet --rm "$container" "$1" >/dev/null
