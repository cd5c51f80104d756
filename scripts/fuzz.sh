#!/bin/sh
# Fuzz each TARGET (tests/c/TARGET.c) for SECONDS: fuzz.sh SECONDS TARGET...
#
# With clang's libFuzzer: guided by coverage, under ASan and UBSan; it begins
# with the corpus in tests/c/corpus/TARGET and keeps what it finds in
# build/fuzz/TARGET.corpus, and what crashes in build/fuzz.  Where clang is missing
# and can be installed, it is.  With KEEP=1 new inputs go to tests/c/corpus, as
# few files as give the same coverage.
# Without clang: the seeded driver under gcc's sanitizers, seed after seed.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
out=build/fuzz
mkdir -p "$out"

flags="-std=gnu11 -pthread -Icsrc -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all"
cflags=$(make -s --no-print-directory print-PKG_CFLAGS)
libs=$(make -s --no-print-directory print-PKG_LIBS)
probe='int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }'
# Helpers of the targets: everything in tests/c that is not a program itself.
helpers=$(ls tests/c/*.c | grep -Ev '/(test|fuzz)_|/jsontestsuite')

has_libfuzzer() {
    echo "$probe" | clang -fsanitize=fuzzer,address -x c - -o "$out/probe" 2>/dev/null
}

# Debian has the run-time library in a package named after clang's version.
install_clang() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    apt_get="env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300"
    echo "fuzz: installing clang with apt-get"
    $apt_get update >/dev/null || true
    $apt_get install -y --no-install-recommends clang >/dev/null || return 0
    version=$(clang -dumpversion | cut -d. -f1)
    $apt_get install -y --no-install-recommends "libclang-rt-$version-dev" >/dev/null || return 0
}

# An archive, as in the Makefile: it gives each target what that needs.
build_used() {
    rm -rf "$out/used" "$out/used.a"
    mkdir "$out/used"
    for file in $helpers $(ls csrc/*/*.c | grep -v /python/); do
        # shellcheck disable=SC2046,SC2086
        clang $flags -fsanitize=fuzzer-no-link,address,undefined $cflags \
            -c "$file" -o "$out/used/$(basename "$file" .c).o"
    done
    ar rcs "$out/used.a" "$out"/used/*.o
}

fuzz() {
    echo "fuzz: $1, libFuzzer, $seconds s"
    # shellcheck disable=SC2046,SC2086
    clang $flags -fsanitize=fuzzer,address,undefined "tests/c/$1.c" "$out/used.a" \
        $cflags $libs -o "$out/$1"
    mkdir -p "$out/$1.corpus" "tests/c/corpus/$1"
    "$out/$1" -max_total_time="$seconds" -max_len=4096 -artifact_prefix="$out/$1." \
        -print_final_stats=1 -verbosity=0 "$out/$1.corpus" "tests/c/corpus/$1"
    [ -z "${KEEP:-}" ] || keep "$1"
}

keep() {
    rm -rf "$out/$1.kept"
    mkdir "$out/$1.kept"
    "$out/$1" -merge=1 -use_counters=0 -verbosity=0 -max_len=1024 "$out/$1.kept" "tests/c/corpus/$1" "$out/$1.corpus"
    rm -rf "tests/c/corpus/$1"
    cp -r "$out/$1.kept" "tests/c/corpus/$1"
    echo "fuzz: $1, corpus of $(ls "tests/c/corpus/$1" | wc -l) files kept"
}

has_libfuzzer || install_clang
if has_libfuzzer; then
    build_used
    for target; do
        fuzz "$target"
    done
else
    for target; do
        echo "fuzz: $target, seeded driver (no clang with libFuzzer), $seconds s"
        "${MAKE:-make}" --no-print-directory "build/asan/$target"
        end=$(($(date +%s) + seconds)) seed=1
        while [ "$(date +%s)" -lt "$end" ]; do
            "build/asan/$target" 20000 "$seed"
            seed=$((seed + 1))
        done
    done
fi
