"""
Build the extension module ``jsonrpcc._jsonrpcc``: setuptools and cffi meet here.

``csrc/jsonrpcc.h`` is the only cdef (what stands between its two marks) and the
only place of the version; pyproject.toml takes both from this module.

Environment:
    JSONRPCC_SAN: build with sanitizers: "address,undefined" or "thread".
    JSONRPCC_TLS: "no" leaves TLS out, "yes" insists on it, and so does "static",
        which makes OpenSSL part of the module: a wheel has a copy of its own that
        nothing else in the process sees.  Otherwise TLS is built if OpenSSL is found.
    JSONRPCC_COVERAGE: build for gcov, if it is set.
    PKG_CONFIG: the pkg-config to use.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from cffi import FFI
from setuptools.command.build_ext import build_ext as setuptools_build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
LAYERS = ["wire", "engine", "io", "client", "api"]  # folders of the core
HEADER = (CSRC / "jsonrpcc.h").read_text(encoding="utf-8")
LIBRARIES = ["libevent_core >= 2.1", "json-c >= 0.15"]
TLS_LIBRARIES = ["libssl >= 3.0", "libcrypto >= 3.0"]
INSTALL = (
    "Debian/Ubuntu: apt-get install gcc libc6-dev pkg-config libevent-dev "
    "libjson-c-dev libssl-dev; Fedora: dnf install gcc pkgconf-pkg-config "
    "libevent-devel json-c-devel openssl-devel; Alpine: apk add gcc musl-dev pkgconf "
    "libevent-dev json-c-dev openssl-dev; macOS: brew install pkgconf libevent "
    "json-c openssl@3"
)


def from_header(pattern: str) -> str:
    """Return what *pattern* captures in the public header."""
    match = re.search(pattern, HEADER, re.DOTALL)
    if match is None:
        sys.exit(f"jsonrpcc: csrc/jsonrpcc.h does not contain {pattern!r}")
    return match.group(1)


__version__ = from_header(r'#define JSONRPCC_VERSION "([^"]+)"')

# At module level, so that "cffi-gen-src exec-python build_ext.py" finds it.
ffibuilder = FFI()
ffibuilder.cdef(from_header(r"/\* cffi: begin \*/(.*)/\* cffi: end \*/"))
ffibuilder.cdef(
    "typedef struct jsonrpcc_capi jsonrpcc_capi; jsonrpcc_capi *jrc_capi(void);"
)
ffibuilder.set_source(
    "jsonrpcc._jsonrpcc", '#include "jsonrpcc.h"\n#include "python/table.h"'
)

# What the package ships for those who build on it in C, and what it is made of.
INTERFACE = {
    "include/jsonrpcc.h": "jsonrpcc.h",
    "include/jsonrpcc_capi.h": "python/jsonrpcc_capi.h",
    "share/pkgconfig/jsonrpcc-capi.pc": "python/jsonrpcc-capi.pc.in",
    "share/cmake/jsonrpcc-capi/jsonrpcc-capi-config.cmake": (
        "python/jsonrpcc-capi-config.cmake.in"
    ),
    "share/cmake/jsonrpcc-capi/jsonrpcc-capi-config-version.cmake": (
        "config-version.cmake.in"
    ),
}


def write_interface(package: Path) -> None:
    """Write headers, .pc and CMake files into the package."""
    for name, template in INTERFACE.items():
        target = package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (CSRC / template).read_text(encoding="utf-8")
        target.write_text(text.replace("@VERSION@", __version__), encoding="utf-8")


def compile_flags() -> tuple[list[str], list[str]]:
    """Return our flags for compiler and linker; they stand after Python's own."""
    cflags = [
        "-std=gnu11",
        "-pthread",
        "-fvisibility=hidden",
        "-fstack-protector-strong",
        "-Werror=implicit-function-declaration",
    ]
    ldflags = ["-pthread"]
    if sys.platform == "linux":
        ldflags += ["-Wl,-z,relro,-z,now"]
        ldflags += [f"-Wl,--version-script={CSRC / 'python' / 'exports.map'}"]
    if sanitizers := os.environ.get("JSONRPCC_SAN"):
        ldflags += [f"-fsanitize={sanitizers}"]
        cflags += [
            f"-fsanitize={sanitizers}",
            "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer",
            "-O1",
            "-g",
            "-U_FORTIFY_SOURCE",
            "-UNDEBUG",
        ]
    elif os.environ.get("JSONRPCC_COVERAGE"):
        cflags += ["--coverage", "-fprofile-update=atomic", "-O0", "-g", "-UNDEBUG"]
        ldflags += ["--coverage"]
    else:
        cflags += ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
        # The layers are many small functions in many files: inlining across
        # them saves a tenth of the instructions of a call.
        compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
        if sys.platform == "linux" and "clang" not in compiler:
            cflags += ["-flto=auto"]
            ldflags += ["-flto=auto", "-O2"]
    return cflags, ldflags


def pkg_config(*arguments: str) -> str | None:
    """Return what pkg-config answers; None if it does not know a library."""
    command = os.environ.get("PKG_CONFIG", "pkg-config")
    if shutil.which(command) is None:
        sys.exit(f"jsonrpcc: {command} is missing. {INSTALL}")
    done = subprocess.run(
        [command, *arguments], check=False, text=True, stdout=subprocess.PIPE
    )
    return None if done.returncode else done.stdout


def wanted_tls() -> str:
    """Return what JSONRPCC_TLS says."""
    wanted = os.environ.get("JSONRPCC_TLS", "")
    if wanted not in {"", "no", "yes", "static"}:
        sys.exit(f"jsonrpcc: JSONRPCC_TLS must be no, yes or static, not {wanted!r}")
    return wanted


def find_libraries() -> list[str]:
    """Return what we are built with; if a library is missing, say what to install."""
    wanted = wanted_tls()
    needed = LIBRARIES + (TLS_LIBRARIES if wanted in {"yes", "static"} else [])
    missing = [name for name in needed if pkg_config("--exists", name) is None]
    if missing:
        sys.exit(f"jsonrpcc: {' and '.join(missing)} not found. {INSTALL}")
    has_tls = all(pkg_config("--exists", name) is not None for name in TLS_LIBRARIES)
    return LIBRARIES + TLS_LIBRARIES if has_tls and wanted != "no" else needed


def link_flags(libraries: list[str]) -> list[str]:
    """Return what to link with; archives by their paths, which any linker takes."""
    flags = shlex.split(pkg_config("--libs", *libraries) or "")
    if wanted_tls() != "static":
        return flags
    folder = Path((pkg_config("--variable=libdir", "libssl") or "").strip())
    archives = {f"-l{name}": folder / f"lib{name}.a" for name in ("ssl", "crypto")}
    for path in archives.values():
        if not path.exists():
            sys.exit(f"jsonrpcc: JSONRPCC_TLS=static, and {path} is missing")
    return [*(str(archives.get(flag, flag)) for flag in flags), "-ldl"]


class build_ext(setuptools_build_ext):  # noqa: N801
    """Fill in what pyproject.toml only announces."""

    def finalize_options(self) -> None:
        """Name the sources and flags; that is all an sdist asks for."""
        super().finalize_options()
        # Sanitizers and the environment's flags leave no trace in a time stamp.
        self.force = True
        extension = self.extensions[0]
        extension.sources = [
            *(
                str(path.relative_to(ROOT))
                for layer in LAYERS
                for path in sorted(CSRC.glob(f"{layer}/*.c"))
            ),
            "csrc/python/table.c",
        ]
        extension.depends = [
            "build_ext.py",
            *(str(path.relative_to(ROOT)) for path in sorted(CSRC.rglob("*.h"))),
        ]
        for each in self.extensions:
            each.include_dirs = ["csrc"]
            each.extra_compile_args, each.extra_link_args = compile_flags()
        # What cffi's own setuptools hook would do (cffi/setuptools_ext.py).
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            if sys.version_info < (3, 15):
                for each in self.extensions:
                    each.py_limited_api = False
                extension.define_macros = [("_CFFI_NO_LIMITED_API", None)]
            else:
                extension.define_macros = [("Py_TARGET_ABI3T", "0x030f0000")]

    def run(self) -> None:
        """Generate the binding and compile it with the C core."""
        extension = self.extensions[0]
        libraries = find_libraries()
        if TLS_LIBRARIES[0] in libraries:
            extension.define_macros.append(("JRC_TLS", "1"))
        cflags = pkg_config("--cflags", *libraries) or ""
        extension.extra_compile_args += shlex.split(cflags)
        extension.extra_link_args += link_flags(libraries)
        generated = Path(self.build_temp) / "_jsonrpcc.c"
        generated.parent.mkdir(parents=True, exist_ok=True)
        ffibuilder.emit_c_code(str(generated))
        extension.sources = [*extension.sources, str(generated)]
        super().run()
        write_interface((ROOT if self.inplace else Path(self.build_lib)) / "jsonrpcc")
