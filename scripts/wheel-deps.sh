#!/bin/sh
# Build libevent, json-c and OpenSSL from their releases into /usr/local, for wheels.
#
# The images in which wheels are built have old versions or none, and all wheels of
# a release should contain the same ones.  Runs in manylinux and
# musllinux containers and on macOS; cmake comes from pip where it is missing.
#
# OpenSSL is its long-term release, supported until April 2030, and static: see
# JSONRPCC_TLS in build_ext.py.  SECURITY.md says when its advisories mean a release
# of ours; then its version and SHA-256 change here.
#
#   SOURCES   a folder with the archives: nothing is downloaded then
#   PREFIX    instead of /usr/local
set -eu
prefix=${PREFIX:-/usr/local}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # archive, SHA-256, URL
    if [ -n "${SOURCES:-}" ]; then
        cp "$SOURCES/$1" "$work/$1"
    else
        curl -fsSL --retry 3 -o "$work/$1" "$3"
    fi
    echo "$2  $work/$1" | if command -v sha256sum >/dev/null; then
        sha256sum -c -
    else
        shasum -a 256 -c -
    fi
    tar -xzf "$work/$1" -C "$work"
}

fetch libevent-2.1.13-stable.tar.gz \
    f7e9383b8c0baa81b687e5b5eecc01beefaf1b19b64151d95ed61647fe7a315c \
    https://github.com/libevent/libevent/releases/download/release-2.1.13-stable/libevent-2.1.13-stable.tar.gz
fetch json-c-0.18.tar.gz \
    876ab046479166b869afc6896d288183bbc0e5843f141200c677b3e8dfb11724 \
    https://s3.amazonaws.com/json-c_releases/releases/json-c-0.18.tar.gz
fetch openssl-3.5.9.tar.gz \
    603f5602e2eef00d77fbd429d34dcd5822bb301757a1bc9cdb24c670f1eb859a \
    https://github.com/openssl/openssl/releases/download/openssl-3.5.9/openssl-3.5.9.tar.gz

command -v cmake >/dev/null || python3 -m pip install --quiet cmake

cd "$work/libevent-2.1.13-stable"
./configure --quiet --prefix="$prefix" --disable-static --disable-openssl \
    --disable-samples --disable-libevent-regress --disable-debug-mode
make -s -j4 install

cmake -S "$work/json-c-0.18" -B "$work/json-c" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DBUILD_STATIC_LIBS=OFF \
    -DBUILD_TESTING=OFF -DBUILD_APPS=OFF -DDISABLE_EXTRA_LIBS=ON
cmake --build "$work/json-c" --target install

cd "$work/openssl-3.5.9"
./config --prefix="$prefix" --libdir=lib --openssldir=/etc/ssl no-shared no-module \
    no-apps no-docs no-tests no-legacy no-engine no-dso no-comp no-ssl3 no-tls1 \
    no-tls1_1 no-dtls no-srp -fPIC -fvisibility=hidden
make -s -j4 build_libs
make -s install_dev

# Where finish_wheel.py looks for the licences of the libraries in a wheel.
install -d "$prefix/share/doc/libevent" "$prefix/share/doc/libjson-c" "$prefix/share/doc/libssl"
install -m 644 "$work/libevent-2.1.13-stable/LICENSE" "$prefix/share/doc/libevent/copyright"
install -m 644 "$work/json-c-0.18/COPYING" "$prefix/share/doc/libjson-c/copyright"
install -m 644 "$work/openssl-3.5.9/LICENSE.txt" "$prefix/share/doc/libssl/copyright"
if [ "$(uname)" = Linux ] && [ "$prefix" = /usr/local ]; then
    ldconfig "$prefix/lib" 2>/dev/null || true # musl has no cache of its own
fi
