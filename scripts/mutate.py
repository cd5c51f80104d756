#!/usr/bin/env python3
"""
Prove the tests of the C core: break it in small ways, and see who notices.

    mutate.py [--count 200] [--seed 1] [--jobs 2] [--only FILE.c]

Each mutant is one file of csrc/ with one operator, constant, condition or
statement changed.  It is compiled with sanitizers and linked to the C tests,
which run one after the other, the file's own first, until one fails: then the
mutant is killed.  Mutants that the optimizer turns into the very same code are
no mutants and left out.  Survivors must stand in tests/c/survivors.txt, with
the reason why no test can tell them from the original.
"""

import argparse
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutate"
KNOWN = ROOT / "tests" / "c" / "survivors.txt"

FILES = [
    "completions",
    "call_table",
    "engine",
    "outbox",
    "inbox",
    "json_plain",
    "json_recover",
    "json_scan",
    "json_string",
    "json_text",
    "request",
    "netstring",
    "response",
    "dispatch",
    "state",
    "servers_parse",
    "servers",
    "connection",
]
# What a test program gets as arguments, so that a mutant takes seconds.
TESTS = {
    "test_netstring": [],
    "test_outbox": [],
    "test_inbox": [],
    "test_call_table": [],
    "test_deadlines": [],
    "test_completions": [],
    "test_servers_parse": [],
    "test_servers": [],
    "test_json_members": [],
    "test_json_scan": [],
    "test_request": [],
    "test_response": [],
    "test_engine": [],
    "test_engine_output": [],
    "test_engine_servers": [],
    "test_suspect": [],
    "test_trials": [],
    "test_rejected": [],
    "fuzz_netstring": ["4000"],
    "fuzz_json_scan": ["20000"],
    "fuzz_servers": ["20000"],
    "fuzz_params": ["20000"],
    "fuzz_engine": ["500"],
    "test_simulator": ["400"],
}
ENGINE = [
    "test_engine",
    "test_engine_output",
    "test_engine_servers",
    "test_suspect",
    "test_trials",
    "test_rejected",
]
FIRST = {
    "call_table": ["test_call_table", "test_deadlines"],
    "json_plain": ["test_json_scan", "test_request"],
    "json_string": ["test_json_scan", "fuzz_json_scan"],
    "json_text": ["test_json_members", "test_json_scan"],
    "json_recover": ["test_json_members"],
    "json_scan": ["test_json_scan", "test_json_members", "fuzz_json_scan"],
    "response": ["test_response", "test_engine"],
    "engine": ENGINE,
    "dispatch": ENGINE,
    "state": ENGINE,
    "servers_parse": ["fuzz_servers"],
    "connection": ENGINE,
}
TIME_LIMIT = 120  # seconds for one program; the slowest takes five
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILE = ["-std=gnu11", "-pthread", "-Icsrc", "-fPIC", "-O1", *SANITIZE]

SWAPS = {
    "<": ["<=", ">="],
    "<=": ["<", ">"],
    ">": [">=", "<="],
    ">=": [">", "<"],
    "==": ["!="],
    "!=": ["=="],
    "&&": ["||"],
    "||": ["&&"],
    "+": ["-"],
    "-": ["+"],
    "*": ["/"],
    "/": ["*"],
    "%": ["*"],
    "<<": [">>"],
    ">>": ["<<"],
    "&": ["|"],
    "|": ["&"],
    "++": ["--"],
    "--": ["++"],
    "+=": ["-="],
    "-=": ["+="],
    "|=": ["="],
    "&=": ["="],
}
# An operator between two operands, as the formatter sets it; or ++ and --.
OPERATOR = re.compile(
    r"(?<= )(<=|>=|==|!=|&&|\|\||<<|>>|\+=|-=|\|=|&=|[-+*/%<>&|])(?=\s)|\+\+|--"
)
NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.xX])")
WORD = re.compile(r"\b(true|false)\b")
CONDITION = re.compile(r"^\s*(?:\} else )?(?:if|while) (\(.*\)) ?\{?$")
STATEMENT = re.compile(
    r"^\s+(?:[\w\[\]*>.-]+ [-+|&]?= .+|[\w>.-]+\(.*\)|\*?[\w>.-]+(?:\+\+|--));$"
)


@dataclass(frozen=True)
class Mutant:
    """One changed line of one file."""

    file: str
    line: int  # from 0
    old: str
    new: str

    def name(self) -> str:
        """Its line in survivors.txt, before the reason."""
        return f"{self.file}.c: {self.old.strip()} => {self.new.strip()}"


def masked(text: str) -> str:
    """Blank comments, strings and characters."""
    pattern = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'"
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def changes(line: str, mask: str) -> Iterator[str]:
    """All changes of a line."""
    for m in OPERATOR.finditer(mask):
        for other in SWAPS[m[0]]:
            yield line[: m.start()] + other + line[m.end() :]
    for m in NUMBER.finditer(mask):
        for value in {int(m[1]) + 1, max(int(m[1]) - 1, 0)} - {int(m[1])}:
            yield line[: m.start()] + str(value) + line[m.end() :]
    for m in WORD.finditer(mask):
        yield (
            line[: m.start()]
            + ("false" if m[0] == "true" else "true")
            + line[m.end() :]
        )
    if m := CONDITION.match(mask):
        inside = line[m.start(1) : m.end(1)]
        if inside.count("(") == inside.count(")"):
            yield line[: m.start(1)] + f"(!{inside})" + line[m.end(1) :]
    if STATEMENT.match(mask) and mask.count("(") == mask.count(")"):
        yield re.match(r"\s*", line)[0] + ";"  # type: ignore[index]


def core_files() -> list[Path]:
    """All files of the core, whose names differ in any folder."""
    found = (ROOT / "csrc").rglob("*.c")
    return sorted(path for path in found if path.parent.name != "python")


def source_of(file: str) -> Path:
    """Return where FILE.c is."""
    (path,) = (path for path in core_files() if path.stem == file)
    return path


def mutants_of(file: str) -> list[Mutant]:
    """All mutants of FILE.c, in order."""
    text = source_of(file).read_text()
    pairs = zip(text.split("\n"), masked(text).split("\n"), strict=True)
    return [
        Mutant(file, number, line, new)
        for number, (line, mask) in enumerate(pairs)
        if not mask.startswith(("#", "static const", "}"))
        and "assert(" not in line  # it states what the rest already does
        for new in changes(line, mask)
    ]


def draw(pool: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw some by what they are: a changed line leaves the others' luck alone."""

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.name()}".encode()).digest()

    return sorted(pool, key=lot)[:count]


def run(*command: str, limit: float = 300) -> bool:
    """Whether a command succeeds, within the limit and without a word."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@functools.cache
def flags(name: str) -> list[str]:
    """Ask the Makefile about our libraries: PKG_CFLAGS or PKG_LIBS."""
    command = ["make", "-s", f"print-{name}"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.split()


class Bench:
    """The tests, linked to a shared library that each mutant replaces."""

    def __init__(self) -> None:
        self.tests = {
            name: args
            for name, args in TESTS.items()
            if (ROOT / "tests" / "c" / f"{name}.c").exists()
        }
        shutil.rmtree(BUILD, ignore_errors=True)
        (BUILD / "core").mkdir(parents=True)
        (BUILD / "tests").mkdir()
        cflags = flags("PKG_CFLAGS")
        self.libs = flags("PKG_LIBS")
        objects = []
        for path in core_files():
            target = BUILD / "core" / f"{path.stem}.o"
            self.must("gcc", *COMPILE, *cflags, "-c", str(path), "-o", str(target))
            objects.append(target)
        self.objects = objects
        self.link(BUILD / "core", {})
        helpers = [
            path
            for path in sorted((ROOT / "tests" / "c").glob("*.c"))
            if not re.match(r"(test|fuzz)_|jsontestsuite|torture", path.stem)
        ]
        driver = ROOT / "tests" / "c" / "fuzz_driver.c"
        for name in self.tests:
            sources = [ROOT / "tests" / "c" / f"{name}.c", *helpers]
            if name.startswith("fuzz_"):
                sources.append(driver)
            self.must(
                "gcc",
                *COMPILE,
                *cflags,
                *map(str, sources),
                f"-L{BUILD / 'core'}",
                "-lcore",
                *self.libs,
                "-o",
                str(BUILD / "tests" / name),
            )

    @staticmethod
    def must(*command: str) -> None:
        """Run a command that has to succeed."""
        subprocess.run(command, cwd=ROOT, check=True)

    def link(self, folder: Path, changed: dict[str, Path]) -> bool:
        """Make folder/libcore.so, with some objects changed."""
        objects = [str(changed.get(path.stem, path)) for path in self.objects]
        return run(
            "gcc",
            "-shared",
            "-pthread",
            *SANITIZE,
            *objects,
            *self.libs,
            "-o",
            str(folder / "libcore.so"),
        )

    def code(self, source: Path, target: Path) -> bytes:
        """Return the optimized code of a file; b"" if it does not compile."""
        command = ["gcc", "-std=gnu11", "-Icsrc", "-O2", *flags("PKG_CFLAGS")]
        if not run(*command, "-c", str(source), "-o", str(target)):
            return b""
        done = subprocess.run(
            ["objdump", "-dr", "--no-show-raw-insn", str(target)],
            check=True,
            capture_output=True,
        )
        return done.stdout.split(b"\n", 3)[-1]

    def passes(self, name: str, folder: Path) -> bool:
        """Whether a test passes with the library in folder."""
        env = f"LD_LIBRARY_PATH={folder}"
        program = str(BUILD / "tests" / name)
        return run("env", env, program, *self.tests[name], limit=TIME_LIMIT)

    def order(self, file: str) -> list[str]:
        """Return the tests, those most likely to notice first."""
        first = dict.fromkeys([f"test_{file}", f"fuzz_{file}", *FIRST.get(file, [])])
        return [n for n in first if n in self.tests] + [
            n for n in self.tests if n not in first
        ]

    def judge(self, mutant: Mutant, folder: Path) -> str:
        """Which test kills it; "same", "broken" or "survived"."""
        source = source_of(mutant.file)
        lines = source.read_text().split("\n")
        lines[mutant.line] = mutant.new
        folder.mkdir(exist_ok=True)
        changed = folder / f"{mutant.file}.c"
        changed.write_text("\n".join(lines))
        before = self.code(source, folder / "before.o")
        after = self.code(changed, folder / "after.o")
        if not after:
            return "broken"
        if after == before:
            return "same"
        target = folder / f"{mutant.file}.o"
        if not run(
            "gcc", *COMPILE, *flags("PKG_CFLAGS"), "-c", str(changed), "-o", str(target)
        ) or not self.link(folder, {mutant.file: target}):
            return "broken"
        for name in self.order(mutant.file):
            if not self.passes(name, folder):
                return name
        return "survived"


def known_survivors() -> set[str]:
    """Those with a reason."""
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    return {
        line for line in lines if " => " in line and not line.startswith((" ", "#"))
    }


def judge_all(
    bench: Bench, chosen: list[Mutant], jobs: int
) -> list[tuple[Mutant, str]]:
    """Judge each, and tell as they come."""

    def one(item: tuple[int, Mutant]) -> tuple[Mutant, str]:
        number, mutant = item
        folder = BUILD / f"m{number}"
        verdict = bench.judge(mutant, folder)
        shutil.rmtree(folder)
        print(f"{verdict:18} {mutant.line + 1:4} {mutant.name()}", flush=True)
        return mutant, verdict

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, enumerate(chosen)))


def main() -> int:
    """Draw mutants, judge them, and say the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help="mutants of this file only")
    parser.add_argument("--survivors", action="store_true", help="those known, again")
    parser.add_argument("--names", type=Path, help="those named in a file, by line")
    args = parser.parse_args()
    known = known_survivors()
    everything = [m for file in FILES for m in mutants_of(file)]
    pool = [m for m in everything if args.only in (None, f"{m.file}.c")]
    if args.survivors:
        pool = [m for m in pool if m.name() in known]
    if args.names:
        names = set(args.names.read_text().splitlines())
        pool = [m for m in pool if m.name() in names]
    chosen = draw(pool, args.count, args.seed)
    bench = Bench()
    for name in bench.tests:
        if not bench.passes(name, BUILD / "core"):
            print(f"mutate: {name} fails without any change")
            return 1
    verdicts = judge_all(bench, chosen, args.jobs)
    counts = {
        word: sum(v == word for _, v in verdicts)
        for word in ("same", "broken", "survived")
    }
    real = len(verdicts) - counts["same"] - counts["broken"]
    unknown = [
        m for m, verdict in verdicts if verdict == "survived" and m.name() not in known
    ]
    for mutant in unknown:
        print(f"survived without a reason: {mutant.name()}")
    print(
        f"mutation: {real} mutants of {len(everything)}, seed {args.seed},"
        f" {real - counts['survived']} killed,"
        f" {counts['survived'] - len(unknown)} equivalent, {len(unknown)} survived"
    )
    return bool(unknown)


if __name__ == "__main__":
    sys.exit(main())
