#!/bin/sh
# Fuzz each TARGET (tests/c/TARGET.c) for SECONDS: fuzz.sh SECONDS TARGET...
#
# With clang's libFuzzer: guided by coverage, under ASan and UBSan; the corpus
# stays in build/fuzz/TARGET.corpus for the next run, what crashes in build/fuzz.
# Without it: the seeded driver under gcc's sanitizers, seed after seed.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
out=build/fuzz
mkdir -p "$out"

flags="-std=gnu11 -pthread -Icsrc -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all"
libraries="libevent_core json-c"
probe='int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }'

if echo "$probe" | clang -fsanitize=fuzzer -x c - -o "$out/probe" 2>/dev/null; then
    for target; do
        echo "fuzz: $target, libFuzzer, $seconds s"
        # shellcheck disable=SC2046,SC2086
        clang $flags -fsanitize=fuzzer,address,undefined "tests/c/$target.c" csrc/*.c \
            $(pkg-config --cflags --libs $libraries) -o "$out/$target"
        mkdir -p "$out/$target.corpus"
        "$out/$target" -max_total_time="$seconds" -artifact_prefix="$out/$target." \
            -print_final_stats=1 -verbosity=0 "$out/$target.corpus"
    done
else
    for target; do
        echo "fuzz: $target, seeded driver (no clang with libFuzzer), $seconds s"
        "${MAKE:-make}" --no-print-directory "build/asan/$target"
        end=$(($(date +%s) + seconds)) seed=1
        while [ "$(date +%s)" -lt "$end" ]; do
            "build/asan/$target" 200000 "$seed"
            seed=$((seed + 1))
        done
    done
fi
