#!/bin/sh
# Install what the Makefile needs and is missing.
#
#   setup.sh system      a C compiler, pkg-config, libevent, json-c, OpenSSL, a Python
#   setup.sh library     the same without a Python; what is missing is named, and
#                        not installed
#   setup.sh soak        ip, nft, valgrind, clang, chromium, a debug build of Python
#                        and what it needs to build cffi: used only by the soak
#   setup.sh peers       programs of others that the client is tested with:
#                        haproxy, uWSGI, gevent, ...; needs .venv
#   setup.sh cluster     programs that examples/cluster runs: bind9, redis, ...
#   setup.sh command C PACKAGE   the command C, by that Debian package
#   setup.sh venv GROUP  .venv with that dependency group and the package
#                        (editable), its extension built anew if it changed
#
# PYTHON=... chooses the interpreter; .venv is created again when that changes, and
# kept when PYTHON is not given.  Everything is compared by content, not by time
# stamp: a second run does nothing.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The interpreter itself, behind shims, links and virtual environments.
real() {
    "$1" -c 'import os, sys; print(os.path.realpath(sys.executable))'
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || die "PYTHON=$PYTHON does not run, or is older than 3.11"
        python=$(real "$PYTHON")
        return
    fi
    if [ -x .venv/bin/python ] && usable .venv/bin/python; then
        python=$(real .venv/bin/python)
        return
    fi
    python=
    for candidate in python3.13 python3.12 python3.11 python3; do
        if usable "$candidate"; then
            python=$(real "$candidate")
            return
        fi
    done
}

find_missing_of_tls() {
    pkg-config --exists 'libssl >= 3.0' 2>/dev/null || missing="$missing libssl-dev"
}

# Debian packages that the C library needs and that are missing, in $missing.
find_missing_of_library() {
    missing=
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' |
        ${CC:-cc} -x c - -o /dev/null 2>/dev/null || missing="gcc libc6-dev"
    if command -v pkg-config >/dev/null; then
        pkg-config --exists 'libevent_core >= 2.1' || missing="$missing libevent-dev"
        pkg-config --exists 'json-c >= 0.15' || missing="$missing libjson-c-dev"
        [ "${JSONRPCC_TLS:-}" != yes ] || find_missing_of_tls
    else
        missing="$missing pkg-config libevent-dev libjson-c-dev"
    fi
    missing=$(echo $missing)
}

# Those that Python needs in addition.
find_missing() {
    find_missing_of_library
    [ -n "${JSONRPCC_TLS:-}" ] || find_missing_of_tls
    find_python
    case $python in
    "") missing="$missing python3 python3-venv python3-dev" ;;
    /usr/bin/*) # the distribution's, which may have come in parts
        name=${python#/usr/bin/}
        "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing $name-venv"
        header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
        [ -e "$header/Python.h" ] || missing="$missing $name-dev"
        ;;
    esac
    missing=$(echo $missing)
}

# A stage says so, and goes on, where one of these is missing.
setup_soak() {
    missing=
    for tool in ip:iproute2 nft:nftables valgrind:valgrind clang:clang python3-dbg:python3-dbg chromium:chromium chromedriver:chromium-driver; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
    done
    pkg-config --exists libffi || missing="$missing libffi-dev"
    python3-dbg -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
    missing=$(echo $missing)
    [ -z "$missing" ] || (apt_install $missing) || say "going on without: $missing"
}

setup_cluster() {
    missing=
    for tool in ip:iproute2 named:bind9 nsupdate:bind9-dnsutils haproxy:haproxy nginx:nginx-light redis-server:redis-server; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
    done
    ls /usr/lib*/nginx/modules/ngx_stream_module.so >/dev/null 2>&1 ||
        missing="$missing libnginx-mod-stream"
    missing=$(echo $missing)
    [ -z "$missing" ] || apt_install $missing
}

# JSONRPCC_PEERS=required makes tests fail where one of these is missing.
setup_peers() {
    missing=
    for tool in haproxy:haproxy nginx:nginx-light stunnel4:stunnel4 openssl:openssl kamailio:kamailio sipp:sip-tester dnsmasq:dnsmasq-base named:bind9 nsupdate:bind9-dnsutils prometheus:prometheus etcd:etcd-server redis-server:redis-server; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
    done
    ls /usr/lib/*/kamailio/modules/app_python3.so >/dev/null 2>&1 ||
        missing="$missing kamailio-python3-modules"
    ls /usr/lib*/nginx/modules/ngx_stream_module.so >/dev/null 2>&1 ||
        missing="$missing libnginx-mod-stream"
    for library in glib-2.0:libglib2.0-dev libuv:libuv1-dev libevent:libevent-dev; do
        pkg-config --exists "${library%:*}" || missing="$missing ${library#*:}"
    done
    printf 'int main(void) { return 0; }\n' | ${CC:-cc} -m32 -x c - -o /dev/null 2>/dev/null ||
        missing="$missing gcc-multilib"
    missing=$(echo $missing)
    [ -z "$missing" ] || (apt_install $missing) || say "going on without: $missing"
    once group-peers "$(cksum pyproject.toml)" install_group peers
}

apt_install() {
    command -v apt-get >/dev/null ||
        die "missing (Debian's names): $*. Fedora: dnf install gcc pkgconf-pkg-config libevent-devel json-c-devel openssl-devel python3-devel; Alpine: apk add gcc musl-dev pkgconf libevent-dev json-c-dev openssl-dev python3-dev; macOS: brew install pkgconf libevent json-c openssl@3 python"
    if [ "$(id -u)" = 0 ]; then
        root=
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        root=sudo
    else
        die "missing, and neither root nor sudo to install it: apt-get install $*"
    fi
    say "installing with apt-get${root:+ and sudo}: $*"
    apt_get="$root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
    $apt_get update >/dev/null || say "apt-get update failed, going on with what is known"
    $apt_get install -y --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install: $*"
}

setup_system() {
    find_missing
    [ -z "$missing" ] && return
    apt_install $missing
    find_missing
    [ -z "$missing" ] || die "still missing after apt-get install: $missing (a Python >= 3.11 can be given as PYTHON=...)"
}

check_library() {
    find_missing_of_library
    [ -z "$missing" ] || die "make lib needs (Debian's names): apt-get install $missing"
}

setup_command() {
    command -v "$1" >/dev/null || apt_install "$2"
}

pip_install() {
    .venv/bin/python -m pip --disable-pip-version-check -qq install "$@" ||
        die "pip could not install: $*"
}

# Run a step unless .venv/STEP.done already holds this STATE.
once() {
    step=$1 state=$2
    shift 2
    [ "$(cat ".venv/$step.done" 2>/dev/null)" = "$state" ] && return
    rm -f ".venv/$step.done"
    "$@"
    echo "$state" >".venv/$step.done"
}

make_venv() {
    say "making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv || die "$python cannot make a virtual environment"
    pip_install --upgrade 'pip>=25.1'
}

install_group() {
    say "installing the Python packages of group $1"
    pip_install --group "$1"
}

build_package() {
    say "building the extension${JSONRPCC_SAN:+ with sanitizers: $JSONRPCC_SAN}"
    pip_install --no-build-isolation --editable .
}

setup_venv() {
    once python "$("$python" -c 'import sys; print(sys.version)') $python $PWD" make_venv
    once "group-$1" "$(cksum pyproject.toml)" install_group "$1"
    ls jsonrpcc/_jsonrpcc*.so jsonrpcc/_speedups*.so >/dev/null 2>&1 || rm -f .venv/package.done
    once package "$(cat pyproject.toml build_ext.py csrc/*.[ch] csrc/*/* | cksum) ${JSONRPCC_SAN:-} ${JSONRPCC_TLS:-}" build_package
}

case $1 in
system) setup_system ;;
library) check_library ;;
soak) setup_soak ;;
peers) setup_peers ;;
cluster) setup_cluster ;;
command) setup_command "$2" "$3" ;;
venv)
    find_python
    setup_venv "$2"
    ;;
esac
