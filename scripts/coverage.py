#!/usr/bin/env python3
"""
Measure which lines of the C core the C tests run, with gcov.

    coverage.py [--list]

Every line of csrc/ that none of them runs must have a reason in
tests/c/uncovered.txt, or this fails: lines of "FILE.c FUNCTION: reason", where
FUNCTION is the one that the line is in.  Some lines are run by luck only, so a
reason without such a line is just told.  --list prints the lines.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
REASONS = ROOT / "tests" / "c" / "uncovered.txt"
# What a test program gets as arguments: coverage does not grow with more.
ARGUMENTS = {
    "test_simulator": ["1500"],
    "test_torture": ["8"],
    "test_torture_fork": ["8"],
    "fuzz_engine": ["300"],
    "fuzz_json_scan": ["20000"],
    "fuzz_netstring": ["20000"],
    "fuzz_params": ["20000"],
    "fuzz_servers": ["20000"],
}
TIME_LIMIT = 300  # seconds for one program


def run(*command: str, where: Path = ROOT) -> str:
    """Run a command that has to succeed, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=where,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIME_LIMIT,
    )
    return done.stdout


def flags(kind: str) -> list[str]:
    """Ask pkg-config about our libraries."""
    return run("pkg-config", kind, "libevent_core", "json-c").split()


def build() -> list[Path]:
    """Compile the core for gcov, and link the tests to it."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    command = ["gcc", "-std=gnu11", "-pthread", "-I../../csrc", "-O0", "-g"]
    command += flags("--cflags")
    cores = sorted((ROOT / "csrc").glob("*.c"))
    for path in cores:
        run(
            *command,
            "--coverage",
            "-fprofile-update=atomic",
            "-c",
            f"../../csrc/{path.name}",
            where=BUILD,
        )
    tests = sorted((ROOT / "tests" / "c").glob("*.c"))
    for path in tests:
        run(*command, "-c", str(path), where=BUILD)
    programs = [p.stem for p in tests if re.match(r"test_|fuzz_(?!driver)", p.stem)]
    single = {*programs, "fuzz_driver", "jsontestsuite"}
    shared = [f"{p.stem}.o" for p in tests if p.stem not in single]
    shared += [f"{p.stem}.o" for p in cores]
    run("ar", "rcs", "used.a", *shared, where=BUILD)
    for name in programs:
        driver = ["fuzz_driver.o"] if name.startswith("fuzz_") else []
        run(
            "gcc",
            "-pthread",
            "--coverage",
            "-Wl,-u,__gcov_dump",  # for check_exit()
            f"{name}.o",
            *driver,
            "used.a",
            *flags("--libs"),
            "-o",
            name,
            where=BUILD,
        )
    return [BUILD / name for name in programs]


def uncovered() -> tuple[dict[tuple[str, str], list[int]], int, int]:
    """Lines that nothing ran, by file and function; how many ran; of how many."""
    missed: dict[tuple[str, str], list[int]] = defaultdict(list)
    ran = total = 0
    for path in sorted((ROOT / "csrc").glob("*.c")):
        run("gcov", "--json-format", f"{path.stem}.o", where=BUILD)
        with gzip.open(BUILD / f"{path.stem}.gcov.json.gz") as file:
            report = json.load(file)
        for source in report["files"]:
            if Path(source["file"]).name != path.name:
                continue
            counts: dict[int, int] = defaultdict(int)
            functions: dict[int, str] = {}
            for line in source["lines"]:
                counts[line["line_number"]] += line["count"]
                functions[line["line_number"]] = line.get("function_name", "")
            total += len(counts)
            for number, count in sorted(counts.items()):
                ran += count > 0
                if count == 0:
                    missed[path.name, functions[number]].append(number)
    return missed, ran, total


def reasons() -> dict[tuple[str, str], str]:
    """Read tests/c/uncovered.txt."""
    found = {}
    for line in REASONS.read_text().splitlines():
        if line and not line.startswith("#"):
            place, reason = line.split(": ", 1)
            file, function = place.split()
            found[file, function] = reason
    return found


def main() -> int:
    """Build, run, and compare with the reasons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--list", action="store_true", help="print uncovered lines")
    args = parser.parse_args()
    for program in build():
        subprocess.run(
            [str(program), *ARGUMENTS.get(program.name, [])],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=TIME_LIMIT,
            env={**os.environ, "LC_ALL": "C"},
        )
    missed, ran, total = uncovered()
    known = reasons()
    for (file, function), lines in sorted(missed.items()):
        if args.list or (file, function) not in known:
            reason = known.get((file, function), "no reason given")
            print(f"csrc/{file}:{','.join(map(str, lines))}: {function}: {reason}")
    for file, function in sorted(set(known) - set(missed)):
        print(f"tests/c/uncovered.txt: {file} {function} is covered this time")
    count = sum(map(len, missed.values()))
    explained = sum(len(lines) for place, lines in missed.items() if place in known)
    print(
        f"coverage: {ran} of {total} lines, {100 * ran / total:.1f} %;"
        f" {explained} of {count} others explained"
    )
    return explained < count


if __name__ == "__main__":
    sys.exit(main())
