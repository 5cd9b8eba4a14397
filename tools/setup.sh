#!/bin/sh
# Makes sure that this machine has a Vulkan adapter. Installs Mesa's software driver only when there is none.
#
#   tools/setup.sh           look, and install what is missing, printing each command before it runs
#   tools/setup.sh --check   look only: print what would run, change nothing, exit 1 when something is missing
#
# CI                     set: OpenGL through EGL and Vulkan's validation layer are wanted too, and on Debian 12 a Mesa
#                        from backports, which runs the kernels about ten times faster than the stable one
# EXCITE_ALLOW_NO_GPU=1  nothing is looked for and nothing is installed
# VK_DRIVER_FILES, VK_ICD_FILENAMES, VK_ADD_DRIVER_FILES   heeded as the Vulkan loader heeds them
set -eu

APT_PACKAGES="mesa-vulkan-drivers libvulkan1 libegl1 libgl1-mesa-dri"
DNF_PACKAGES="mesa-vulkan-drivers vulkan-loader mesa-libEGL mesa-dri-drivers"
PACMAN_PACKAGES="vulkan-swrast vulkan-icd-loader mesa"
# Only where CI is set.
APT_LAYER=vulkan-validationlayers
DNF_LAYER=vulkan-validation-layers
PACMAN_LAYER=vulkan-validation-layers
BACKPORTS=bookworm-backports
BACKPORTS_FILE=/etc/apt/sources.list.d/excite-$BACKPORTS.list

# ldconfig and ldd are not on every user's path.
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
in_ci() { case ${CI:-} in '' | 0 | false) return 1 ;; esac; }

# ---------------------------------------------------------------- what is there

# Prints the path of a shared library, given by name or by path, the way the dynamic linker would find it.
find_library() {
    case $1 in
    */*)
        [ -e "$1" ] || return 1
        echo "$1"
        return
        ;;
    esac
    path=$(ldconfig -p 2>/dev/null | awk -v name="$1" '$1 == name { print $NF; exit }')
    if [ -n "$path" ]; then
        echo "$path"
        return
    fi
    # No linker cache (musl, BSD), or a library outside it.
    old_ifs=$IFS
    IFS=:
    for dir in ${LD_LIBRARY_PATH:-} /usr/local/lib /usr/lib64 /usr/lib /lib64 /lib; do
        if [ -e "$dir/$1" ]; then
            IFS=$old_ifs
            echo "$dir/$1"
            return
        fi
    done
    IFS=$old_ifs
    return 1
}

# A library loads when it is there and everything that it links to is there.
loads() {
    path=$(find_library "$1") || return 1
    ! have ldd || ! ldd "$path" 2>&1 | grep -Eq 'not found|Error loading'
}

# Prints the Vulkan driver manifests in the loader's order, one per line.
driver_manifests() {
    only=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}
    if [ -n "$only" ]; then
        places=$only
    else
        places=${VK_ADD_DRIVER_FILES:-}
        for base in "${XDG_CONFIG_HOME:-${HOME:-}/.config}" /etc/xdg /usr/local/etc /etc \
            "${XDG_DATA_HOME:-${HOME:-}/.local/share}" /usr/local/share /usr/share /run/opengl-driver/share; do
            places=$places:$base/vulkan/icd.d
        done
    fi
    old_ifs=$IFS
    IFS=:
    for place in $places; do
        if [ -d "$place" ]; then
            for manifest in "$place"/*.json; do
                [ ! -f "$manifest" ] || echo "$manifest"
            done
        elif [ -f "$place" ]; then
            echo "$place"
        fi
    done
    IFS=$old_ifs
}

# A driver for hardware gives an adapter only where the kernel shows a device.
has_gpu_device() {
    for node in /dev/dri/renderD* /dev/nvidia[0-9]* /dev/nvidiactl /dev/dxg /dev/kgsl-3d0 /dev/mali*; do
        [ ! -e "$node" ] || return 0
    done
    return 1
}

# Prints "gpu LIBRARY" or "software LIBRARY", a GPU's driver first; fails when there is no adapter.
vulkan_adapter() {
    loads libvulkan.so.1 || return 1
    software=
    manifests=$(driver_manifests)
    while IFS= read -r manifest; do
        [ -n "$manifest" ] || continue
        library=$(sed -n 's/.*"library_path"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)
        # The loader reads a relative path from the manifest's own folder.
        case $library in
        '') continue ;;
        /*) ;;
        */*) library=$(dirname "$manifest")/$library ;;
        esac
        case $manifest:$library in
        *lvp* | *swiftshader* | *swrast*)
            if [ -z "$software" ] && loads "$library"; then software=$library; fi
            ;;
        *)
            if has_gpu_device && loads "$library"; then
                echo "gpu $library"
                return
            fi
            ;;
        esac
    done <<LIST
$manifests
LIST
    [ -n "$software" ] || return 1
    echo "software $software"
}

# EGL with Mesa's software rasteriser behind it.
has_software_gl() {
    loads libEGL.so.1 && loads libEGL_mesa.so.0 || return 1
    for driver in /usr/lib/*/dri/swrast_dri.so /usr/lib64/dri/swrast_dri.so /usr/lib/dri/swrast_dri.so \
        /usr/lib/*/libgallium-*.so /usr/lib64/libgallium-*.so /usr/lib/libgallium-*.so; do
        [ ! -e "$driver" ] || return 0
    done
    return 1
}

# Vulkan's validation layer, by the manifest that the loader finds.
has_validation_layer() {
    for base in "${XDG_DATA_HOME:-${HOME:-}/.local/share}" /etc /usr/local/etc /usr/local/share /usr/share; do
        for manifest in "$base"/vulkan/explicit_layer.d/*khronos_validation*.json; do
            [ ! -f "$manifest" ] || return 0
        done
    done
    return 1
}

is_debian_12() {
    [ -r /etc/os-release ] && (
        # shellcheck source=/dev/null
        . /etc/os-release
        [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]
    )
}

has_recent_mesa() {
    version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null) || return 1
    dpkg --compare-versions "$version" ge 25
}

# Sets adapter, and missing: what has to be installed, in words.
look() {
    missing=
    adapter=$(vulkan_adapter) || missing="a Vulkan adapter"
    in_ci || return 0
    if ! has_software_gl; then missing="${missing:+$missing and }OpenGL through EGL"; fi
    if ! has_validation_layer; then missing="${missing:+$missing and }Vulkan's validation layer"; fi
}

wants_backports() { in_ci && is_debian_12 && ! has_recent_mesa; }

report() {
    case $adapter in
    gpu*) say "Vulkan found: a GPU device, and a driver for GPUs (${adapter#gpu })" ;;
    *) say "Vulkan found: a software driver (${adapter#software })" ;;
    esac
}

# ---------------------------------------------------------------- what is done about it

# Prints a command and runs it as root; with --check it only prints it.
as_root() {
    [ "$(id -u)" = 0 ] || set -- sudo "$@"
    say "${would}$*"
    [ -n "$would" ] || "$@"
}

can_be_root() {
    [ "$(id -u)" = 0 ] && return
    # Without a terminal sudo can't ask for a password.
    have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@"
}

apt_update() { apt_get update || say "apt-get update failed; going on with the package lists that are here"; }

# shellcheck disable=SC2016 # $(RELEASE) and its like are apt's
apt_sources() { apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages'; }

# Adds Debian's backports from the mirror that this machine already uses for Debian itself.
add_backports() {
    # Apt names its sources only once their lists are here; a fresh container has none.
    apt_update
    ! apt_sources | grep -q "^$BACKPORTS main " || return 0
    mirror=$(apt_sources | awk '($1 == "bookworm" || $1 == "oldstable") && $2 == "main" { print $3; exit }')
    [ -z "$would" ] || mirror=${mirror:-MIRROR}
    [ -n "$mirror" ] || return 1
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    signed=
    [ ! -r "$keyring" ] || signed="[signed-by=$keyring] "
    as_root sh -c "echo 'deb $signed$mirror $BACKPORTS main' > $BACKPORTS_FILE"
    apt_update
}

# shellcheck disable=SC2086 # the list of packages is meant to split
install_from_backports() {
    add_backports || {
        say "apt knows no Debian mirror here, so no $BACKPORTS"
        return 1
    }
    if [ -z "$would" ] && ! apt-cache madison mesa-vulkan-drivers | grep -q "$BACKPORTS"; then
        say "$BACKPORTS can't be reached"
        [ ! -e "$BACKPORTS_FILE" ] || as_root rm -f "$BACKPORTS_FILE"
        return 1
    fi
    apt_get install -y --no-install-recommends -t "$BACKPORTS" $APT_PACKAGES
}

give_up() {
    say "$1"
    say "what is needed: the Vulkan loader (libvulkan.so.1) and a Vulkan driver, either your GPU vendor's or Mesa's"
    say "software driver (lavapipe). As root, install it with one of"
    say "  Debian, Ubuntu  apt-get install $APT_PACKAGES"
    say "  Fedora          dnf install $DNF_PACKAGES"
    say "  Arch            pacman -S $PACMAN_PACKAGES"
    if ! in_ci && has_software_gl; then
        say "going on without Vulkan: OpenGL is here, and excite can run on it"
        exit 0
    fi
    exit 1
}

# shellcheck disable=SC2086 # the lists of packages are meant to split
install_drivers() {
    if have apt-get && have dpkg-query; then
        if wants_backports; then
            install_from_backports && return
            [ -n "$missing" ] || {
                say "staying with the Mesa that is installed; expect slow tests"
                return 0
            }
            say "taking Mesa from Debian's stable release instead; expect slow tests"
        else
            apt_update
        fi
        apt_get install -y --no-install-recommends $APT_PACKAGES
    elif have dnf; then
        as_root dnf install -y $DNF_PACKAGES
    elif have pacman; then
        as_root pacman -S --needed --noconfirm $PACMAN_PACKAGES
    else
        give_up "none of apt-get, dnf and pacman is here"
    fi
}

if in_ci; then
    APT_PACKAGES="$APT_PACKAGES $APT_LAYER"
    DNF_PACKAGES="$DNF_PACKAGES $DNF_LAYER"
    PACMAN_PACKAGES="$PACMAN_PACKAGES $PACMAN_LAYER"
fi

would=
case ${1:-} in
'') ;;
--check) would="would run: " ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac

if [ "${EXCITE_ALLOW_NO_GPU:-}" = 1 ]; then
    say "EXCITE_ALLOW_NO_GPU=1: not looking for an adapter, installing nothing"
    exit 0
fi
case $(uname -s) in
Darwin)
    say "macOS brings Metal: nothing to install"
    exit 0
    ;;
MINGW* | MSYS* | CYGWIN* | Windows*)
    say "Windows brings Direct3D 12: nothing to install"
    exit 0
    ;;
esac

look
if [ -z "$missing" ] && ! wants_backports; then
    report
    exit 0
fi

if [ -n "$missing" ]; then
    say "this machine lacks $missing; installing Mesa's software drivers"
else
    say "Mesa here is old and slow; installing the one from $BACKPORTS"
fi
can_be_root || [ -n "$would" ] || give_up "not root, and sudo is absent or would need a password: nothing installed"
install_drivers || give_up "the package manager failed (its message is above): offline, or out of date package lists?"
if [ -n "$would" ]; then exit 1; fi

look
[ -z "$missing" ] || give_up "still without $missing after the installation"
report
