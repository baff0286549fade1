#!/usr/bin/env bash
# Makes a bare root of a Debian release: debootstrap's smallest, and what this machine's network needs (apt sources and
# settings, CA bundle, pip settings, name service), which goes in here and nowhere else. The plain root is kept for the
# next time. Arguments: a release, a folder that is not there yet, and Debian's name of an architecture, if it is not this
# machine's. Needs root; installs debootstrap where it is missing.
set -euo pipefail
release=$1 root=$2 architecture=${3:-$(dpkg --print-architecture)}
kept=${XDG_CACHE_HOME:-$HOME/.cache}/sidecar-bare/$release-$architecture.tar

pip_option() { # the host's value, unless it points at this machine's own files
  local value
  value=$(python3 -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.$1='\(.*\)'$/\1/p" | tail -n 1)
  case $value in "" | /* | file:*) ;; *) echo "$1 = $value" ;; esac
}

bundle() { # the first CA bundle that this machine's programs were told to use
  local file
  for file in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" "${CURL_CA_BUNDLE:-}"; do
    if [ -f "$file" ]; then echo "$file" && return; fi
  done
}

host=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

mirror() { # where this machine's apt gets its own release from
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$host" '$1 == release { print $2; exit }'
}

keep() { # a plain root, for every time; one that was left half done is no plain root
  local half=$kept.$$ place
  if ! command -v debootstrap >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends debootstrap; } >"$half.log" 2>&1 </dev/null
  fi
  place=$(mirror)
  # its own list of releases is as old as the machine; all of them are made as sid is
  debootstrap --variant=minbase --arch="$architecture" "$release" "$half.root" \
    ${place:+"$place" /usr/share/debootstrap/scripts/sid} >>"$half.log" 2>&1
  rm -rf "$half.root"/var/cache/apt/archives/*.deb "$half.root"/var/lib/apt/lists/*
  tar -C "$half.root" --one-file-system -cf "$half" .
  mv "$half" "$kept"
}

mkdir -p "${kept%/*}"
exec 6>"$kept.lock" # another run may be making the same root: one is enough
flock 6
if [ ! -f "$kept" ]; then
  trap 'rm -rf --one-file-system "$kept.$$" "$kept.$$".*' EXIT
  keep || { tail -n 20 "$kept.$$.log" >&2 && exit 1; }
fi
exec 6>&-
mkdir -p "$root"
tar -C "$root" -xf "$kept"

cd "$root"
if [ -f /etc/apt/sources.list.d/debian.sources ]; then
  rm -f etc/apt/sources.list
  sed "s/\b$host\b/$release/g" /etc/apt/sources.list.d/debian.sources >etc/apt/sources.list.d/debian.sources
elif [ -s /etc/apt/sources.list ]; then
  sed "s/\b$host\b/$release/g" /etc/apt/sources.list >etc/apt/sources.list
fi
echo force-unsafe-io >etc/dpkg/dpkg.cfg.d/90machine # no root outlives a power cut: no fsync for each file
apt-config dump | grep -E '^Acquire::(Check-|Retries|ForceIPv|http|https|Languages)' >etc/apt/apt.conf.d/90machine || true
cp --dereference /etc/resolv.conf /etc/hosts etc/

{
  echo "[global]"
  for option in index-url extra-index-url proxy timeout default-timeout; do pip_option $option; done
} >etc/pip.conf
ca=$(bundle)
if [ -n "$ca" ]; then
  install -D --mode=0644 "$ca" etc/ssl/local-ca.pem
  echo "cert = /etc/ssl/local-ca.pem" >>etc/pip.conf
fi
