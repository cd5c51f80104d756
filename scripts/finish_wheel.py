"""
Finish a repaired wheel: licences and an SBOM for the libraries inside it.

    finish_wheel.py repaired.whl dist/

auditwheel (or delocate) has put libevent and json-c inside.  OpenSSL is part of a
module instead: a second copy in the process must not be found by its names.  The
licences are those that the building system keeps in share/doc/*/copyright; what
auditwheel found out about their origin is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIXES = [Path("/usr/local"), Path("/opt/homebrew"), Path("/usr")]


@dataclass(frozen=True)
class Library:
    """A library that may be included in the wheel."""

    name: str
    pattern: str  # of its file, or of the text by which it is found in a module
    module: str  # for pkg-config
    documents: str  # pattern of its folder in share/doc
    licence: str  # of the parts that are compiled in, as an SPDX expression


OPENSSL = Library(
    "openssl",
    r"OpenSSL (3\.\d+\.\d+)[^ \0]* \d+ [A-Z][a-z]{2} \d{4}\0",
    "libssl",
    "libssl*",
    "Apache-2.0",
)
LIBRARIES = [
    Library(
        "libevent",
        r"libevent_core[-.].*",
        "libevent_core",
        "libevent*",
        "BSD-3-Clause AND ISC",
    ),
    Library("json-c", r"libjson-c[-.].*", "json-c", "libjson-c*", "MIT"),
]


def run(*command: str | Path) -> str:
    """Run a tool; return what it prints."""
    return subprocess.check_output(command, text=True)


def openssl_in(path: Path) -> str | None:
    """Return the version of OpenSSL that is part of a module."""
    match = re.search(OPENSSL.pattern.encode(), path.read_bytes())
    return None if match is None else match[1].decode()


def library_of(path: Path) -> Library:
    """Return which library a file belongs to; wheels contain no others."""
    if openssl_in(path) is not None:
        return OPENSSL
    for library in LIBRARIES:
        if re.fullmatch(library.pattern, path.name):
            return library
    sys.exit(f"{path.name} is in the wheel, but nobody knows its licence")


def licence_text(library: Library) -> str:
    """Return the copyright and licence text of a library of this system."""
    for prefix in PREFIXES:
        for path in sorted((prefix / "share/doc").glob(f"{library.documents}/*")):
            if path.name.lower() in {"copyright", "copying", "license"}:
                text = path.read_text(encoding="utf-8")
                for name in re.findall(r"/usr/share/common-licenses/Apache\S*\w", text):
                    text += f"\n\n{Path(name).read_text(encoding='utf-8')}"
                return text
    sys.exit(f"no share/doc/{library.documents}/copyright of {library.name}")


def origin(library: Library, sboms: Path) -> tuple[str, str]:
    """Return version and package URL, of the distribution if auditwheel knew that."""
    known = sboms / "auditwheel.cdx.json"
    stem = library.module.partition("_")[0]
    if known.exists():
        for each in json.loads(known.read_text())["components"]:
            if each["name"].startswith((stem, f"lib{stem}")):
                return each["version"], each["purl"]
    version = run("pkg-config", "--modversion", library.module).strip()
    return version, f"pkg:generic/{library.name}@{version}"


def component(library: Library, path: Path, root: Path, sboms: Path) -> dict[str, Any]:
    """Return a library as CycloneDX describes it."""
    version, purl = origin(library, sboms)
    if library is OPENSSL:
        version = openssl_in(path) or ""
        purl = f"pkg:generic/openssl@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": library.name,
        "version": version,
        "purl": purl,
        "licenses": [{"expression": library.licence}],
        "hashes": [
            {
                "alg": "SHA-256",
                "content": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "evidence": {"occurrences": [{"location": str(path.relative_to(root))}]},
    }


def finish(root: Path, libs: list[Path]) -> None:
    """Add what is missing to an unpacked wheel."""
    (info,) = root.glob("*.dist-info")
    name, version = info.name.removesuffix(".dist-info").split("-")
    sboms = info / "sboms"
    sboms.mkdir(exist_ok=True)
    parts = [component(library_of(path), path, root, sboms) for path in libs]
    ours = f"pkg:pypi/{name}@{version}"
    text = json.dumps([ours, parts])
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": ours,
                "name": name,
                "version": version,
                "purl": ours,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": parts,
        "dependencies": [
            {"ref": ours, "dependsOn": [each["bom-ref"] for each in parts]},
            *({"ref": each["bom-ref"]} for each in parts),
        ],
    }
    (sboms / f"{name}.cdx.json").write_text(json.dumps(bom, indent=2) + "\n")

    files, licences = [], ["MIT"]
    for library in sorted({library_of(path) for path in libs}, key=lambda it: it.name):
        target = info / "licenses" / library.name / "copyright"
        target.parent.mkdir(exist_ok=True)
        target.write_text(licence_text(library), encoding="utf-8")
        files.append(f"License-File: {library.name}/copyright\n")
        licences += library.licence.split(" AND ")
    metadata = info / "METADATA"
    text = metadata.read_text(encoding="utf-8")
    for before, after in (
        ("License-File: LICENSE\n", "License-File: LICENSE\n" + "".join(files)),
        (
            "License-Expression: MIT\n",
            f"License-Expression: {' AND '.join(dict.fromkeys(licences))}\n",
        ),
    ):
        if text.count(before) != 1:
            sys.exit(f"METADATA does not say {before.strip()!r}")
        text = text.replace(before, after)
    metadata.write_text(text, encoding="utf-8")


def forget_the_builder(root: Path) -> None:
    """Remove the library paths of the Python that built the modules from them."""
    for path in root.glob("*/*.so"):
        rpath = run("patchelf", "--print-rpath", path).strip()
        ours = [each for each in rpath.split(":") if each.startswith("$ORIGIN")]
        if ours:
            run("patchelf", "--set-rpath", ":".join(ours), path)
        elif rpath:
            run("patchelf", "--remove-rpath", path)


def main(wheel: Path, target: Path) -> None:
    """Finish one wheel; the result goes to the folder *target*."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "wheel", "unpack", "-d", folder, wheel)
        (root,) = Path(folder).iterdir()
        libs = [*root.glob("*.libs/*"), *root.glob("*/.dylibs/*")]
        libs += [path for path in root.glob("*/*.so") if openssl_in(path)]
        if not libs:
            sys.exit(f"{wheel.name} has no libraries inside: was it repaired?")
        if sys.platform == "linux":
            forget_the_builder(root)
        finish(root, sorted(libs))
        target.mkdir(parents=True, exist_ok=True)
        print(run(sys.executable, "-m", "wheel", "pack", "-d", target, root), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
