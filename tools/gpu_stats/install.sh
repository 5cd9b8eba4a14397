#!/bin/sh
# Installs Mesa's DRM shim, which stands in for a GPU's kernel driver, in the version of the Vulkan drivers that are there. Debian.
set -eu
[ ! -e "/usr/lib/$(uname -m)-linux-gnu/libamdgpu_noop_drm_shim.so" ] || exit 0
version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers)
root=
[ "$(id -u)" = 0 ] || root=sudo
$root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends "mesa-drm-shim=$version"
