"""The C library as other programs use it: installed, linked, run."""

import asyncio
import os
import re
import shutil
import subprocess

import pytest
from compiling import CC, ROOT, link_flags, run

import jsonrpcc
import jsonrpcc._jsonrpcc
from jsonrpcc.testing import Error, Server

WARN = ["-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, ("make", "nm", "pkg-config", CC))),
        reason="make, nm, pkg-config or a C compiler is missing",
    ),
    pytest.mark.skipif(
        "JSONRPCC_SAN" in os.environ, reason="children would inherit the LD_PRELOAD"
    ),
    pytest.mark.timeout(180),
]


def flags(*options, env=None):
    return run("pkg-config", *options, env=env).split()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The library as `make install` leaves it, under a DESTDIR."""
    destdir = tmp_path_factory.mktemp("destdir")
    run("make", "install", f"DESTDIR={destdir}", "PREFIX=/opt/jsonrpcc")
    return destdir


@pytest.fixture(scope="module")
def pkg_config_env(installed):
    pc = installed / "opt/jsonrpcc/lib/pkgconfig"
    return {
        "PKG_CONFIG_SYSROOT_DIR": str(installed),
        "PKG_CONFIG_PATH": os.pathsep.join(
            filter(None, [str(pc), os.environ.get("PKG_CONFIG_PATH")])
        ),
    }


def fail(code, message):
    raise Error(code, message)


@pytest.fixture
def server():
    async def sleep(seconds):
        await asyncio.sleep(seconds)

    methods = {
        "add": lambda a, b: a + b,
        "echo": lambda **named: named,
        "fail": fail,
        "sleep": sleep,
    }
    with Server(methods) as server:
        yield server


def check_example(program, server, env=None):
    out = run(program, server.address, env=env)
    assert out.splitlines() == [
        "callbacks: 100 results, 0 errors",
        "add: ok: 42",
        'fail: the server answered with an error: {"code":5,"message":"no"}',
        "sleep: timeout",
        "add: an argument is wrong",
        "stats: 103 requests, 1 notifications, 102 ok, 1 remote errors, 1 timeouts",
    ]
    seen = server.wait_for_requests(104)
    assert [each.params for each in seen if each.notification] == [{"id": 1234}]


def test_example_with_the_shared_library(installed, pkg_config_env, server, tmp_path):
    program = tmp_path / "client"
    found = flags("--cflags", "--libs", "jsonrpcc", env=pkg_config_env)
    run(CC, *WARN, "examples/c/client.c", "-o", program, *found)
    lib = installed / "opt/jsonrpcc/lib"
    assert "[libjsonrpcc.so.0]" in run("readelf", "-d", program)
    check_example(program, server, env={"LD_LIBRARY_PATH": str(lib)})


def test_example_with_the_static_library(installed, server, tmp_path):
    program = tmp_path / "client"
    prefix = installed / "opt/jsonrpcc"
    run(
        CC, *WARN, f"-I{prefix}/include", "examples/c/client.c", "-o", program,
        prefix / "lib/libjsonrpcc.a", *link_flags(), "-pthread",
    )  # fmt: skip
    check_example(program, server)


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_example_under_sanitizers(sanitizer, server, tmp_path):
    """Leaks, use after free and races of library and example together."""
    san = [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-O1", "-g"]
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    probing = subprocess.run(
        [CC, *san, probe, "-o", tmp_path / "probe"], capture_output=True, check=False
    )
    if (
        probing.returncode != 0
        or subprocess.run([tmp_path / "probe"], check=False).returncode
    ):
        pytest.skip(f"no -fsanitize={sanitizer} here")
    sources = sorted(
        p for p in (ROOT / "csrc").rglob("*.c") if p.parent.name != "python"
    )
    program = tmp_path / "client"
    run(
        CC, "-std=gnu11", *san, "-pthread", "-Icsrc", *sources, "examples/c/client.c",
        "-o", program, *link_flags(),
    )  # fmt: skip
    check_example(program, server, env={"TSAN_OPTIONS": "halt_on_error=1"})


# ---- thousands of calls, under ASan -----------------------------------------------

ADDING = 20_000
ASAN = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]


def has_asan(folder):
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    built = subprocess.run(
        [CC, *ASAN, probe, "-o", folder / "probe"], capture_output=True, check=False
    )
    return (
        built.returncode == 0
        and not subprocess.run([folder / "probe"], check=False).returncode
    )


@pytest.fixture(params=["shared", "static"])
def adding(request, installed, pkg_config_env, tmp_path):
    """tests/programs/adding.c on the installed library: how to run it."""
    if not has_asan(tmp_path):
        pytest.skip("no -fsanitize=address here")
    prefix = tmp_path / "opt/jsonrpcc"
    shutil.copytree(installed / "opt/jsonrpcc", prefix, symlinks=True)
    env = {**pkg_config_env, "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    env["PKG_CONFIG_PATH"] = str(prefix / "lib/pkgconfig")
    options = ["--cflags", "--libs"]
    if request.param == "static":
        options.append("--static")
        for path in prefix.glob("lib/*.so*"):
            path.unlink()  # or the linker would prefer it
    program = tmp_path / "adding"
    found = flags(*options, "jsonrpcc", env=env)
    run(CC, *WARN, *ASAN, "tests/programs/adding.c", "-o", program, *found)
    needed = run("readelf", "-d", program)
    assert ("[libjsonrpcc.so.0]" in needed) == (request.param == "shared")
    return program, {"LD_LIBRARY_PATH": str(prefix / "lib")}


def test_thousands_of_calls_of_a_program(adding, server):
    """No overrun, no use after free, no leak."""
    program, env = adding
    total = ADDING * (ADDING - 1) // 2 + ADDING
    assert run(program, server.address, ADDING, env=env) == f"{total} 0\n"


CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(adding LANGUAGES C)
find_package(jsonrpcc {version} CONFIG REQUIRED)
add_executable(shared {source})
target_link_libraries(shared PRIVATE jsonrpcc::jsonrpcc)
add_executable(static {source})
target_link_libraries(static PRIVATE jsonrpcc::static)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_cmake_finds_both_libraries(installed, server, tmp_path):
    source = ROOT / "tests/programs/adding.c"
    text = CMAKE.format(version=jsonrpcc.__version__, source=source)
    (tmp_path / "CMakeLists.txt").write_text(text)
    prefix = f"-DCMAKE_PREFIX_PATH={installed}/opt/jsonrpcc"
    run("cmake", "-S", tmp_path, "-B", tmp_path, prefix)
    run("cmake", "--build", tmp_path)
    for name in ("shared", "static"):
        assert run(tmp_path / name, server.address, 10) == "55 0\n"
        needed = "[libjsonrpcc.so.0]" in run("readelf", "-d", tmp_path / name)
        assert needed == (name == "shared")


# ---- what it shows -----------------------------------------------------------------


def exported(*args):
    return {line.split()[-1] for line in run("nm", *args).splitlines() if line}


def test_shared_library_exports_only_its_own_names(installed):
    library = installed / "opt/jsonrpcc/lib/libjsonrpcc.so.0"
    names = exported("-D", "--defined-only", library)
    assert "jsonrpcc_request" in names
    assert [name for name in names if not name.startswith("jsonrpcc_")] == []


def test_shared_library_exports_all_that_the_header_declares(installed):
    library = installed / "opt/jsonrpcc/lib/libjsonrpcc.so.0"
    declared = run(
        CC, "-E", "-P", "-x", "c", installed / "opt/jsonrpcc/include/jsonrpcc.h"
    )
    functions = set(re.findall(r"\b(jsonrpcc_\w+)\(", declared))
    assert functions <= exported("-D", "--defined-only", library)
    assert len(functions) > 30


def test_static_library_shows_only_its_own_names(installed):
    """Internal names cannot clash with names of others that begin with jrc_."""
    names = exported(
        "-g", "--defined-only", installed / "opt/jsonrpcc/lib/libjsonrpcc.a"
    )
    names = {name for name in names if not name.endswith(".o:")}
    assert "jsonrpcc_request" in names
    assert [name for name in names if not name.startswith("jsonrpcc_")] == []


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("standard", ["11", "17"])
def test_header_stands_alone(installed, tmp_path, language, standard):
    """The header compiles with the strictest flags, twice, and before any other."""
    compiler = {"c": CC, "c++": os.environ.get("CXX", "c++")}[language]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    source = tmp_path / ("use." + {"c": "c", "c++": "cc"}[language])
    source.write_text(
        "#include <jsonrpcc.h>\n#include <jsonrpcc.h>\n"
        "int main() { return jsonrpcc_version() == NULL; }\n"
    )
    run(
        compiler, f"-std={language}{standard}", "-pedantic", "-Wall", "-Wextra",
        "-Werror", f"-I{installed}/opt/jsonrpcc/include", "-fsyntax-only", source,
    )  # fmt: skip


def test_make_install_is_relocatable_and_complete(installed):
    prefix = installed / "opt/jsonrpcc"
    files = {
        str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()
    }
    assert files == {
        "include/jsonrpcc.h",
        "lib/libjsonrpcc.a",
        "lib/libjsonrpcc.so",
        "lib/libjsonrpcc.so.0",
        f"lib/libjsonrpcc.so.{jsonrpcc.__version__}",
        "lib/cmake/jsonrpcc/jsonrpcc-config.cmake",
        "lib/cmake/jsonrpcc/jsonrpcc-config-version.cmake",
        "lib/pkgconfig/jsonrpcc.pc",
    }
    for name in files:
        if name.endswith((".pc", ".cmake")):
            text = (prefix / name).read_text()
            assert str(installed) not in text
            assert not re.search(r"@\w+@", text), name
    assert (prefix / "lib/libjsonrpcc.so").samefile(prefix / "lib/libjsonrpcc.so.0")


def test_pkg_config_knows_the_version(pkg_config_env):
    assert run(
        "pkg-config", "--modversion", "jsonrpcc", env=pkg_config_env
    ).strip() == (jsonrpcc.__version__)
