"""The binaries are hardened, and export nothing but their interface."""

import re
import subprocess
from pathlib import Path

import pytest

from jsonrpcc import _jsonrpcc

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(_jsonrpcc.__file__).parent
EXTENSIONS = sorted(PACKAGE.glob("_*.so"))
# The first test builds the library.
pytestmark = pytest.mark.timeout(300)

SANITIZED = re.compile(r"__(asan|tsan|ubsan)_")


def output(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="session")
def library() -> Path:
    """build/libjsonrpcc.so, as "make lib" makes it."""
    output("make", "-s", "-C", str(ROOT), "lib")
    return ROOT / "build" / "libjsonrpcc.so"


@pytest.fixture(params=["library", *(path.name for path in EXTENSIONS)])
def built(request: pytest.FixtureRequest) -> Path:
    if request.param == "library":
        return request.getfixturevalue("library")  # type: ignore[no-any-return]
    path = PACKAGE / str(request.param)
    if SANITIZED.search(output("nm", "-D", str(path))):
        pytest.skip("built with sanitizers, which is another thing")
    return path


def exported(path: Path) -> list[str]:
    """Names that others can link to or override."""
    lines = output("nm", "-D", "--defined-only", str(path)).splitlines()
    return [line.split()[-1].split("@")[0] for line in lines]


def imported(path: Path) -> set[str]:
    """Names that it imports from others."""
    lines = output("nm", "-D", "--undefined-only", str(path)).splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def dynamic(path: Path) -> str:
    return output("readelf", "-W", "-d", str(path))


def segments(path: Path) -> dict[str, str]:
    """The flags of each kind of program header."""
    text = output("readelf", "-W", "-l", str(path))
    lines = [line.split() for line in text.splitlines()]
    return {
        words[0]: "".join(words[6:-1])
        for words in lines
        if len(words) > 7 and words[1].startswith("0x")
    }


def test_relocations_are_read_only_from_the_start(built: Path) -> None:
    assert "GNU_RELRO" in segments(built)
    assert re.search(r"BIND_NOW|\bNOW\b", dynamic(built))


def test_the_stack_is_not_executable(built: Path) -> None:
    assert "E" not in segments(built)["GNU_STACK"]


def test_no_segment_is_writable_and_executable(built: Path) -> None:
    text = output("readelf", "-W", "-l", str(built))
    loads = [line for line in text.splitlines() if line.split()[:1] == ["LOAD"]]
    assert loads
    assert not [line for line in loads if "RWE" in line]


def test_stacks_have_canaries(built: Path) -> None:
    if built.name.startswith("_speedups"):
        pytest.skip("no function in it has an array on its stack")
    assert "__stack_chk_fail" in imported(built)


def test_libc_checks_bounds(built: Path) -> None:
    """_FORTIFY_SOURCE: some call at least goes to the checking form."""
    if built.name.startswith(("_speedups", "_capsule")):
        pytest.skip("it calls nothing that has one")
    assert [name for name in imported(built) if name.endswith("_chk")]


def test_dangerous_functions_are_not_called(built: Path) -> None:
    dangerous = "gets strcpy strcat sprintf vsprintf system popen tmpnam mktemp"
    assert not imported(built) & {*dangerous.split(), "exit", "abort"}


def test_it_does_not_search_where_it_should_not(built: Path) -> None:
    assert not re.search(r"\((RPATH|TEXTREL)\)", dynamic(built))


def test_the_library_exports_its_interface(library: Path) -> None:
    names = exported(library)
    assert "jsonrpcc_client_new" in names
    assert not [name for name in names if not name.startswith("jsonrpcc_")]
    header = (ROOT / "csrc" / "jsonrpcc.h").read_text()
    undeclared = [name for name in names if not re.search(rf"\b{name}\(", header)]
    assert not undeclared


def test_every_declared_function_is_exported(library: Path) -> None:
    header = (ROOT / "csrc" / "jsonrpcc.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    declared = set(re.findall(r"\b(jsonrpcc_\w+)\(", code))
    assert declared == set(exported(library))


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.name)
def test_extensions_export_their_init_only(path: Path) -> None:
    if SANITIZED.search(output("nm", "-D", str(path))):
        pytest.skip("built with sanitizers, which is another thing")
    name = path.name.split(".")[0]
    extra = {f"PyInit_{name}", f"_cffi_pypyinit_{name}"}
    assert f"PyInit_{name}" in exported(path)
    assert not set(exported(path)) - extra


def test_no_function_of_ours_is_bound_to_another_copy(built: Path) -> None:
    """A host's copy of another version is not called from inside of this one."""
    relocations = output("readelf", "-W", "-r", str(built)).splitlines()
    assert len(relocations) > 10
    assert not [x for x in relocations if re.search(r" (jsonrpcc|jrc|spd)_\w", x)]


def test_only_these_libraries_are_needed(library: Path) -> None:
    needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", dynamic(library)))
    needed -= {name for name in needed if name.startswith("ld-linux")}  # thread-local
    libraries = {"libevent_core-2.1", "libjson-c", "libssl", "libcrypto"}
    assert needed <= libraries | {"libc", "libpthread"}


def test_nothing_private_to_one_glibc_is_linked(built: Path) -> None:
    """A wheel with such a symbol would run on no other version."""
    assert "GLIBC_PRIVATE" not in output("readelf", "-W", "--version-info", str(built))
