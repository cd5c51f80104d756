"""The C API for other extension modules: found, complete, checked, used."""

import ctypes
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from compiling import CC, LIMIT, run

import jsonrpcc
from jsonrpcc import capi
from jsonrpcc._jsonrpcc import ffi, lib

TESTS = Path(__file__).resolve().parents[1]
INCLUDE = Path(jsonrpcc.get_include())

needs_compiler = [
    pytest.mark.skipif(
        shutil.which(CC) is None
        or not Path(sysconfig.get_path("include"), "Python.h").exists(),
        reason="no C compiler, or no Python.h",
    ),
    pytest.mark.skipif(
        "thread" in os.environ.get("JSONRPCC_SAN", ""),
        reason="a compiler does not run with TSan's LD_PRELOAD",
    ),
]


def public_functions():
    header = (INCLUDE / "jsonrpcc.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return set(re.findall(r"^[a-z].*?\bjsonrpcc_([a-z_]+)\(", code, re.MULTILINE))


# ---- the table --------------------------------------------------------------------


def test_the_table_has_every_public_function():
    header = (INCLUDE / "jsonrpcc_capi.h").read_text()
    members = re.findall(r"__typeof__\(jsonrpcc_(\w+)\) \*(\w+);", header)
    assert all(function == member for function, member in members)
    assert {member for _, member in members} == public_functions()


def test_no_entry_of_the_table_is_empty():
    words = ffi.cast("uintptr_t *", capi.table())
    size = words[0] // ffi.sizeof("uintptr_t")
    header = (INCLUDE / "jsonrpcc_capi.h").read_text()
    struct = header.partition("typedef struct jsonrpcc_capi {")[2].partition("\n}")[0]
    functions = re.findall(r"\) \*\w+;|^    \S.*\(\*\w+\)\(", struct, re.MULTILINE)
    assert size == 2 + len(functions)  # and the two numbers at its head
    assert all(words[i] for i in range(size))


def test_the_capsule_is_found_by_its_name():
    """By PyCapsule_Import(), as jsonrpcc_import() does."""
    find = ctypes.pythonapi.PyCapsule_Import
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    assert find(b"jsonrpcc._capi", 0) == int(ffi.cast("uintptr_t", capi.table()))


def test_headers_are_those_of_the_core():
    header = (INCLUDE / "jsonrpcc.h").read_text()
    assert f'#define JSONRPCC_VERSION "{jsonrpcc.__version__}"' in header
    assert f"#define JSONRPCC_ABI_VERSION {lib.jsonrpcc_abi_version()}\n" in header


def test_the_version_comes_from_one_place():
    assert importlib.metadata.version("jsonrpcc") == jsonrpcc.__version__
    assert ffi.string(lib.jsonrpcc_version()).decode() == jsonrpcc.__version__


def test_client_pointer_is_for_clients_only(serve):
    server = serve()
    with jsonrpcc.Client(server.address) as client:
        pointer = capi.client_pointer(client)
        assert ffi.typeof(pointer) is ffi.typeof("jsonrpcc_client *")
    with pytest.raises(TypeError, match=r"Client or AsyncClient is needed, not 7"):
        capi.client_pointer(7)
    half = jsonrpcc.Client.__new__(jsonrpcc.Client)
    with pytest.raises(TypeError, match="not open"):
        capi.client_pointer(half)


# ---- how builders find it ---------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--cflags", f"-I{INCLUDE}"),
        ("--cmakedir", capi.get_cmake_dir()),
        ("--pkgconfigdir", capi.get_pkgconfig_dir()),
    ],
)
def test_command_line_prints_where_things_are(option, text):
    said = run(sys.executable, "-W", "error", "-m", "jsonrpcc", option)
    assert said == f"{text}\n"
    assert Path(text.removeprefix("-I")).is_dir()


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_pkg_config():
    env = {"PKG_CONFIG_PATH": capi.get_pkgconfig_dir()}
    said = run("pkg-config", "--cflags", "--libs", "jsonrpcc-capi", env=env)
    (flag,) = said.split()  # nothing to link
    assert Path(flag.removeprefix("-I")).samefile(INCLUDE)
    version = run("pkg-config", "--modversion", "jsonrpcc-capi", env=env)
    assert version.strip() == jsonrpcc.__version__


WHERE = """
import importlib.metadata, importlib.resources
for group in ("cmake.prefix", "pkg_config"):
    (point,) = importlib.metadata.entry_points(group=group, name="jsonrpcc")
    files = importlib.resources.files(point.load())
    print({path.parent for path in files.iterdir()}.pop())
"""


def test_entry_points_lead_to_the_files():
    """As scikit-build-core ("cmake.prefix") and PyPI's pkgconf ("pkg_config") look."""
    cmake, pkgconf = run(sys.executable, "-W", "error", "-c", WHERE).splitlines()
    config = "share/cmake/jsonrpcc-capi/jsonrpcc-capi-config.cmake"
    assert Path(cmake, config).is_file()
    assert Path(pkgconf, "jsonrpcc-capi.pc").is_file()


CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(mine LANGUAGES C)
find_package(jsonrpcc-capi {version} CONFIG REQUIRED)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
Python_add_library(mine MODULE mine.c)
target_link_libraries(mine PRIVATE jsonrpcc::capi)
"""

MINE = """
#include <jsonrpcc_capi.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "mine"};

PyMODINIT_FUNC PyInit_mine(void)
{
    const jsonrpcc_capi *rpc = jsonrpcc_import();

    if (rpc == NULL)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddStringConstant(module, "version", rpc->version());
    return module;
}
"""


def version_of_mine(folder):
    return run(
        sys.executable, "-c", "import mine; print(mine.version)",
        env={"PYTHONPATH": str(folder)},
    ).strip()  # fmt: skip


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
class TestCMake:
    pytestmark = needs_compiler

    def configure(self, folder, version):
        (folder / "CMakeLists.txt").write_text(CMAKE.format(version=version))
        (folder / "mine.c").write_text(MINE)
        return subprocess.run(
            [
                shutil.which("cmake"), "-S", folder, "-B", folder,
                "-DCMAKE_BUILD_TYPE=Release",
                f"-DCMAKE_PREFIX_PATH={Path(jsonrpcc.__file__).parent}",
                f"-DPython_EXECUTABLE={sys.executable}",
            ],
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip

    def test_a_module_is_built(self, tmp_path):
        done = self.configure(tmp_path, jsonrpcc.__version__)
        assert done.returncode == 0, done.stderr
        run("cmake", "--build", tmp_path)
        assert version_of_mine(tmp_path) == jsonrpcc.__version__

    def test_a_newer_version_is_not_found(self, tmp_path):
        done = self.configure(tmp_path, "99.0")
        assert done.returncode != 0
        assert f"version: {jsonrpcc.__version__}" in done.stderr


# ---- in use -----------------------------------------------------------------------


class TestUse:
    pytestmark = needs_compiler

    def build_mine(self, folder, include):
        (folder / "mine.c").write_text(MINE)
        run(
            CC, "-shared", "-fPIC", "-std=c11", "-Wall", "-Wextra", "-Werror",
            "-Wno-missing-field-initializers",
            f"-I{sysconfig.get_path('include')}", f"-I{include}", folder / "mine.c",
            "-o", folder / "mine.so",
        )  # fmt: skip

    def test_an_older_jsonrpcc_is_refused(self, tmp_path):
        """An extension built with a later header runs with today's package."""
        shutil.copytree(INCLUDE, tmp_path / "include")
        header = tmp_path / "include/jsonrpcc.h"
        text = header.read_text()
        newer = lib.JSONRPCC_ABI_VERSION + 1
        text, n = re.subn(r"(?<=JSONRPCC_ABI_VERSION )\d+", str(newer), text, count=1)
        assert n == 1
        header.write_text(text)
        self.build_mine(tmp_path, tmp_path / "include")
        done = subprocess.run(
            [sys.executable, "-c", "import mine"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            f"ImportError: jsonrpcc {jsonrpcc.__version__} has version "
            f"{newer - 1} of the C API, but {newer} is needed: upgrade jsonrpcc"
        )

    def test_the_current_header_is_accepted(self, tmp_path):
        self.build_mine(tmp_path, INCLUDE)
        assert version_of_mine(tmp_path) == jsonrpcc.__version__

    @pytest.mark.skipif(shutil.which("c++") is None, reason="no c++")
    def test_the_header_compiles_as_c_plus_plus(self, tmp_path):
        source = tmp_path / "use.cc"
        source.write_text(
            "#include <jsonrpcc_capi.h>\n#include <jsonrpcc_capi.h>\n"
            "int main() { return jsonrpcc_import()->max_in_flight(nullptr) == 0; }\n"
        )
        run(
            "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            f"-I{sysconfig.get_path('include')}", f"-I{INCLUDE}", source,
        )  # fmt: skip

    @pytest.mark.timeout(180)
    def test_another_package_uses_the_client(self, tmp_path):
        """tests/consumer, built on this tree (test_consumer.py: on the wheel)."""
        shutil.copytree(TESTS / "consumer", tmp_path / "source")
        run(
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
            "--no-build-isolation", "--target", tmp_path / "target",
            tmp_path / "source", env={"PYTHONWARNINGS": "default"},
        )  # fmt: skip
        said = run(
            sys.executable, "-W", "error", TESTS / "programs/consuming.py", "3000",
            env={"PYTHONPATH": str(tmp_path / "target")},
        )  # fmt: skip
        assert said.split() == ["own", "shared", "kept_alive", "foreign"]
