#!/bin/sh
# Makes /opt/sidecar out of Debian's Python and this repository: an interpreter with its own C library and every library
# that it or a wheel needs, so that it runs in any image with Linux's kernel, whatever Python or glibc that has.
# Runs in the `build` stage of the Dockerfile, as root. Argument: the folder of the repository.
set -eu
source=$1
home=/opt/sidecar/python
version=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
packages=$home/lib/$version/dist-packages

mkdir -p /opt/sidecar/bin $home/bin $home/lib
cp "/usr/bin/$version" $home/bin/python3
cp -a "/usr/lib/$version" $home/lib/
rm -rf "$packages" $home/lib/"$version"/ensurepip $home/lib/"$version"/config-*

python3 -m venv /tmp/venv
/tmp/venv/bin/pip install --no-cache-dir --no-compile --target "$packages" -c "$source/constraints.txt" "$source[fleet]"
rm -rf "$packages/bin"

# the libraries that these need and don't bring along, the C library and its loader with them
libraries() {
  find $home -name '*.so*' -type f | while read -r library; do ldd "$library" 2>/dev/null || true; done
  ldd $home/bin/python3
}
libraries | awk '$2 == "=>" && $3 ~ "^/(usr/)?lib/" { print $3 } $1 ~ "^/lib.*/ld-linux" { print $1 }' | sort -u >/tmp/needed
while read -r library; do cp -L "$library" $home/lib/; done </tmp/needed
loader=$(patchelf --print-interpreter $home/bin/python3)
patchelf --set-interpreter "$home/lib/${loader##*/}" --force-rpath --set-rpath '$ORIGIN/../lib' $home/bin/python3

install -m 0755 "$source/image/launcher.py" /opt/sidecar/bin/sidecar
$home/bin/python3 -I -m compileall -q -j 0 $home/lib
