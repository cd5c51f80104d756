"""The wheel that `make dist` builds: its contents, and that nothing else is needed."""

import base64
import email
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from installing import ROOT, WHEEL, Venv, find_python, needs_wheel, run

import jsonrpcc

pytestmark = [needs_wheel, pytest.mark.timeout(600)]

MAY_NEED = r"libc\.so\.6|libpthread\.so\.0|ld-linux.*"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(WHEEL) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def info(unpacked):
    (folder,) = unpacked.glob("*.dist-info")
    return folder


def test_one_wheel_for_every_python_from_3_11_on():
    name = Path(WHEEL).name
    assert re.fullmatch(
        rf"jsonrpcc-{jsonrpcc.__version__}-cp311-abi3-manylinux_2_\d+_\w+\.whl", name
    ), name


def test_every_file_is_in_the_record(unpacked, info):
    lines = (info / "RECORD").read_text().splitlines()
    recorded = dict(line.rsplit(",", 2)[:2] for line in lines)
    files = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert set(recorded) == files
    for name, digest in recorded.items():
        if name.endswith("RECORD"):
            continue
        found = hashlib.sha256((unpacked / name).read_bytes()).digest()
        coded = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
        assert digest == f"sha256={coded}", name


def test_what_other_packages_build_on_is_inside(unpacked):
    package = unpacked / "jsonrpcc"
    assert (package / "py.typed").exists()
    assert {p.name for p in (package / "include").iterdir()} == {
        "jsonrpcc.h",
        "jsonrpcc_capi.h",
    }
    assert (package / "share/pkgconfig/jsonrpcc-capi.pc").exists()
    assert not [*package.rglob("*.c"), *package.rglob("*.pyc")]


def test_metadata_is_complete(info):
    data = email.message_from_string((info / "METADATA").read_text())
    assert data["Version"] == jsonrpcc.__version__
    assert data["License-Expression"] == "MIT AND BSD-3-Clause AND ISC AND Apache-2.0"
    for name in data.get_all("License-File"):
        text = (info / "licenses" / name).read_text()
        permits = ("Permission is hereby granted", "Redistribution", "Apache License")
        assert any(each in text for each in permits), name
    assert len(data.get_all("License-File")) == 4
    assert "Typing :: Typed" in data.get_all("Classifier")
    assert data["Requires-Python"] == ">=3.11"
    assert data.get_all("Project-URL")
    assert data["Description-Content-Type"] == "text/markdown"
    needed = [each for each in data.get_all("Requires-Dist") if "extra ==" not in each]
    assert sorted(needed) == ["cffi>=2.0", "msgspec>=0.19"]
    extras = ["anyio", "bench", "cli", "otel", "prometheus", "testing"]
    assert data.get_all("Provides-Extra") == extras


def test_the_bill_of_materials_is_true(unpacked, info):
    bom = json.loads((info / "sboms/jsonrpcc.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["version"] == jsonrpcc.__version__
    assert {each["name"] for each in bom["components"]} == {
        "libevent",
        "json-c",
        "openssl",
    }
    places = set()
    for each in bom["components"]:
        (occurrence,) = each["evidence"]["occurrences"]
        content = (unpacked / occurrence["location"]).read_bytes()
        places.add(occurrence["location"])
        assert each["hashes"] == [
            {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}
        ]
        assert each["version"] in each["purl"].replace("%2B", "+")
    libs = {str(path.relative_to(unpacked)) for path in unpacked.glob("*.libs/*")}
    assert places == libs | {"jsonrpcc/_jsonrpcc.abi3.so"}, "OpenSSL is in the module"
    refs = {bom["metadata"]["component"]["bom-ref"]}
    refs |= {each["bom-ref"] for each in bom["components"]}
    assert {each["ref"] for each in bom["dependencies"]} == refs


@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf")
def test_shared_objects_need_libc_and_what_travels_with_them(unpacked):
    bundled = {path.name for path in unpacked.glob("jsonrpcc.libs/*")}
    seen = set()
    for path in [*unpacked.glob("jsonrpcc/*.so"), *unpacked.glob("jsonrpcc.libs/*")]:
        dynamic = run("readelf", "-d", path)
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
        strangers = {n for n in needed - bundled if not re.fullmatch(MAY_NEED, n)}
        assert not strangers, path.name
        seen |= needed & bundled
        rpaths = re.findall(r"\(R(?:UN)?PATH\).*\[(.*)\]", dynamic)
        assert all(each.startswith("$ORIGIN") for each in rpaths), path.name
    assert seen == bundled


def test_the_sdist_can_test_itself():
    names = run("tar", "tzf", *Path(WHEEL).parent.glob("*.tar.gz"))
    for name in ("Makefile", "csrc/jsonrpcc.h", "tests/conftest.py", "CHANGELOG.md"):
        assert f"/{name}\n" in names, name
    assert not re.search(r"\.so$|\.pyc$|/\.venv/|/build/", names, re.MULTILINE)


# ---- installed --------------------------------------------------------------------

OLDEST = {"cffi": "cffi==2.0.0", "msgspec": "msgspec==0.19.0"}
NEWEST = {"cffi": "cffi", "msgspec": "msgspec"}
TEST_TOOLS = ("orjson", "pytest", "pytest-timeout", "uvloop")
SHARE = ("client", "async_client", "map", "errors", "failover", "options")

WHERE = """
import jsonrpcc, os, re, sys
here = os.path.dirname(os.path.dirname(jsonrpcc.__file__))
with open("/proc/self/maps") as maps:
    loaded = set(re.findall(r"/.*/lib(?:event|json-c).*", maps.read()))
assert len(loaded) == 2, loaded
assert all(path.startswith(here + "/jsonrpcc.libs/") for path in loaded), loaded
assert here.startswith(sys.prefix), here
print(jsonrpcc.__version__)
"""


@pytest.fixture(
    scope="module",
    params=[("3.11", OLDEST), ("3.12", NEWEST), ("3.13", OLDEST), ("3.13", NEWEST)],
    ids=["3.11-oldest", "3.12-newest", "3.13-oldest", "3.13-newest"],
)
def venv(request, tmp_path_factory):
    """An empty environment with the wheel: no compiler, no -dev package."""
    version, wanted = request.param
    venv = Venv(tmp_path_factory.mktemp("venv") / "venv", find_python(version))
    venv.install("--only-binary=:all:", WHEEL, *wanted.values())
    return venv


def test_it_brings_its_libraries(venv):
    assert venv.run("-W", "error", "-c", WHERE).strip() == jsonrpcc.__version__
    assert shutil.which("cc", path=venv.env["PATH"]) is None


def test_pip_has_no_complaints(venv):
    assert "No broken requirements" in venv.run("-m", "pip", "check")


def test_the_tests_pass_from_another_directory(venv, tmp_path):
    """Some of the tests, and the README's code, quickstart first."""
    venv.install("--only-binary=:all:", *TEST_TOOLS)
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    pytest_ = ("-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    readme = venv.run(
        *pytest_, "tests/docs/test_readme.py", "-k", "python_runs", cwd=tmp_path
    )
    assert re.search(r"^[4-9] passed", readme, re.MULTILINE), readme
    share = [f"tests/client/test_{name}.py" for name in SHARE]
    said = venv.run(*pytest_, *share, cwd=tmp_path)
    passed = re.search(r"^(\d+) passed", said, re.MULTILINE)
    assert passed is not None, said
    assert int(passed[1]) > 400, said


def test_the_command_is_there(venv):
    command = venv.python.parent / "jsonrpcc"
    said = subprocess.check_output([command, "--version"], env=venv.env, text=True)
    assert said.startswith(f"{jsonrpcc.__version__} (OpenSSL 3.")


TLS = """
import ctypes, jsonrpcc, ssl
from jsonrpcc.testing import Server
own = jsonrpcc._tls.library()
with Server({"add": lambda a, b: a + b}, tls=True) as server:  # Python's OpenSSL
    tls = jsonrpcc.Tls(**server.tls.client)
    with jsonrpcc.Client(server.address, tls=tls) as client:
        assert client.call("add", [1, 2]) == 3
        assert client.servers()[0].tls.version == "TLSv1.3"
module = ctypes.CDLL(jsonrpcc._jsonrpcc.__file__)
for name in ("SSL_new", "OpenSSL_version", "CRYPTO_malloc", "jsonrpcc_request"):
    assert not hasattr(module, name), name
print(own)
"""


def test_tls_has_an_openssl_of_its_own_that_nobody_sees(venv):
    venv.install("--only-binary=:all:", "trustme")
    assert venv.run("-W", "error", "-c", TLS).startswith("OpenSSL 3.")


@pytest.mark.skipif(sys.platform != "linux", reason="PyPI's pkgconf")
def test_builders_find_what_it_ships(venv):
    """With PyPI's pkgconf, as meson-python uses it; and as scikit-build-core does."""
    venv.install("--only-binary=:all:", "pkgconf")
    include = venv.run("-c", "import jsonrpcc; print(jsonrpcc.get_include())").strip()
    flags = venv.run("-m", "pkgconf", "--cflags", "jsonrpcc-capi").strip()
    assert Path(flags.removeprefix("-I")).samefile(include)
    prefix = venv.run(
        "-c",
        "from importlib import metadata, resources\n"
        "(point,) = metadata.entry_points(group='cmake.prefix')\n"
        "print(resources.files(point.load()))",
    ).strip()
    assert (Path(prefix) / "share/cmake/jsonrpcc-capi").is_dir()
