#!/bin/sh
# Installs the compilers that `make shaders-foreign` asks: Dawn with Tint, DXC and FXC from the npm package webgpu, Wine and a
# small C compiler to run the latter two, spirv-val. On Debian and Ubuntu; elsewhere it says what is needed.
set -eu
cd "$(dirname "$0")"

have() { command -v "$1" >/dev/null 2>&1; }

packages=
have spirv-val || packages="$packages spirv-tools"
[ -x /usr/lib/wine/wine64 ] || have wine64 || packages="$packages wine64"
have x86_64-w64-mingw32-gcc || packages="$packages gcc-mingw-w64-x86-64-win32"
have npm || packages="$packages nodejs npm"
if [ -n "$packages" ]; then
    have apt-get || {
        echo "install: no apt-get here; what is needed, by Debian's names:$packages" >&2
        exit 1
    }
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    $root apt-get -q update
    # shellcheck disable=SC2086 # the list is meant to split
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends $packages
fi
# Its script only sorts its files by platform.
npm ci --ignore-scripts --no-audit --no-fund
