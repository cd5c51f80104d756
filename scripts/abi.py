"""
Compare the shared library's ABI with the one of the last release, by libabigail.

    abi.py check SONAME     fail if a program built on the last release could break
    abi.py update SONAME    describe the present ABI: part of making a release

New functions, new enumerators at the end, and fields appended to structs that
may grow are compatible; everything else is a break.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/abi"
# New fields may be appended to these: callers say which size they know, or only
# have a pointer.
GROW = (
    "jsonrpcc_options",
    "jsonrpcc_call",
    "jsonrpcc_stats",
    "jsonrpcc_server_info",
    "jsonrpcc_entry_info",
    "jsonrpcc_method_info",
    "jsonrpcc_outcome",
    "jsonrpcc_failure",
    "jsonrpcc_origin",
    "jsonrpcc_event",
    "jsonrpcc_tls",
    "jsonrpcc_tls_info",
    "jsonrpcc_server_tls_info",
)
ABIDW = (
    "abidw", "--exported-interfaces-only", "--header-file", "csrc/jsonrpcc.h",
    "--drop-private-types", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs",
)  # fmt: skip


def describe(soname: str) -> Path:
    """Build the library, with nothing optimized away; return its description."""
    BUILD.mkdir(parents=True, exist_ok=True)
    sources = sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "csrc").rglob("*.c")
        if path.parent.name != "python"
    )
    library = BUILD / soname
    libs = subprocess.check_output(
        ["pkg-config", "--cflags", "--libs", "libevent_core", "json-c"],
        text=True,
    )
    subprocess.check_call(
        [
            *shlex.split(os.environ.get("CC") or "cc"),
            "-std=gnu11", "-g", "-O0", "-fPIC", "-shared", "-pthread",
            "-fvisibility=hidden", "-Icsrc", f"-Wl,-soname,{soname}",
            *sources,
            *shlex.split(libs), "-o", library,
        ],
        cwd=ROOT,
    )  # fmt: skip
    description = BUILD / f"{soname}.abi"
    subprocess.check_call([*ABIDW, "--out-file", description, library], cwd=ROOT)
    return description


def structs(tree: ET.ElementTree[ET.Element]) -> dict[str, ET.Element]:
    """Return the structs that may grow."""
    found = {each.get("name", ""): each for each in tree.iter("class-decl")}
    return {name: found[name] for name in GROW}


def forget_appended(old: Path, new: Path) -> None:
    """Remove from the new description the fields that the old one lacks."""
    tree = ET.parse(new)  # noqa: S314  (our own file)
    before = structs(ET.parse(old))  # noqa: S314
    for name, struct in structs(tree).items():
        for member in list(struct)[len(before[name]) :]:
            struct.remove(member)
        if len(struct) == len(before[name]):
            struct.set("size-in-bits", before[name].get("size-in-bits", ""))
    tree.write(new)


def main(action: str, soname: str) -> int:
    """Check or update; return the exit code."""
    committed = ROOT / "abi" / f"{soname}.abi"
    new = describe(soname)
    if action == "update":
        shutil.copy(new, committed)
        print(f"abi: {committed.relative_to(ROOT)} is written")
        return 0
    forget_appended(committed, new)
    difference = subprocess.run(
        ["abidiff", "--no-added-syms", committed, new],
        check=False,
    )
    if difference.returncode != 0:
        print("abi: programs built on the last release would break", file=sys.stderr)
        return 1
    print(f"abi: compatible with {committed.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
