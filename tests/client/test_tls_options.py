"""What Tls(...) and tls= accept, and the errors for everything else."""

import dataclasses
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from bad_certificates import OPENSSL
from certificates import authority, issue
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

import jsonrpcc
from jsonrpcc import AsyncClient, Client, Options, Tls

NOWHERE = "127.0.0.1:1"
SECRET = "correct horse battery"  # noqa: S105


@pytest.fixture
def files(tmp_path):
    """An authority, a client's certificate and its key, each in a file."""
    root = authority()
    own = issue("client", root)
    for name, text in (
        ("ca.pem", root.pem()),
        ("cert.pem", own.pem()),
        ("key.pem", own.key_pem()),
        ("other.key", issue("other", root).key_pem()),
        ("locked.key", own.key_pem(BestAvailableEncryption(SECRET.encode()))),
        ("expired.pem", issue("old", root, key=own.key, days=(-9, -1)).pem()),
        ("early.pem", issue("new", root, key=own.key, days=(2, 9)).pem()),
        ("empty.pem", b""),
        ("text.pem", b"hello"),
    ):
        (tmp_path / name).write_bytes(text)
    return tmp_path


def given(files, **options):
    """Return options with the paths of the files of that name."""
    return {
        name: str(files / value) if name in {"ca", "cert", "key"} and value else value
        for name, value in options.items()
    }


# --- what Tls itself refuses -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"ca": 5}, TypeError, "tls: ca must be a path, not 5"),
        ({"ca": ""}, ValueError, "tls: ca must be a path, not ''"),
        ({"ca": "a\0b"}, ValueError, r"tls: ca must be a path, not 'a\x00b'"),
        ({"cert": b"a", "key": "b"}, TypeError, "tls: cert must be a path, not b'a'"),
        ({"cert": "a"}, ValueError, "tls: cert 'a' is of no use without key"),
        ({"key": "a"}, ValueError, "tls: key 'a' is of no use without cert"),
        ({"key_password": "x"}, ValueError, "tls: key_password is of no use without"),
        ({"server_name": 5}, TypeError, "tls: server_name must be a str, not 5"),
        ({"server_name": ""}, ValueError, "tls: server_name must be printable ASCII"),
        (
            {"server_name": "bücher.example"},
            ValueError,
            "not 'bücher.example'; as IDNA has it: 'xn--bcher-kva.example'",
        ),
        (
            {"server_name": "a.example:99"},
            ValueError,
            "tls: server_name must be a host name or an IP address, not 'a.example:99'",
        ),
        ({"server_name": "*.example"}, ValueError, "must be a host name"),
        ({"server_name": "[::1]"}, ValueError, "must be a host name"),
        ({"verify": "no"}, TypeError, "tls: verify must be True or False, not 'no'"),
        ({"verify": None}, TypeError, "tls: verify must be True or False, not None"),
        ({"min_version": 1.2}, TypeError, "tls: min_version must be a str, not 1.2"),
        (
            {"min_version": "1.1"},
            ValueError,
            "tls: min_version must be '1.2' or '1.3', not '1.1'",
        ),
        ({"ciphers": 5}, TypeError, "tls: ciphers must be a str, not 5"),
        ({"ciphers": ""}, ValueError, "tls: ciphers must be printable ASCII"),
        ({"reload": "1"}, TypeError, "tls: reload must be a number of seconds"),
        ({"reload": False}, TypeError, "tls: reload must be a number of seconds"),
        ({"reload": -1}, ValueError, "tls: reload must be above 0"),
        ({"reload": float("inf")}, ValueError, "tls: reload must be above 0"),
        ({"cacert": "a"}, TypeError, "cacert"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(options, error, says):
    with pytest.raises(error) as caught:
        Tls(**options)
    assert says in str(caught.value)


@pytest.mark.parametrize("wrong", ["ca.pem", 1, {"ca": "a"}, Tls, object()])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_tls_is_true_or_a_tls(kind, wrong):
    with pytest.raises(TypeError) as caught:
        kind(NOWHERE, tls=wrong)
    assert str(caught.value) == f"tls must be True or a jsonrpcc.Tls, not {wrong!r}"


def test_it_is_a_value():
    tls = Tls(ca=Path("a"), reload=0)
    assert tls == Tls(ca=Path("a"), reload=0)
    assert hash(tls) == hash(Tls(ca=Path("a"), reload=0))
    assert dataclasses.replace(tls, ca="b").ca == "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        tls.verify = False
    assert Options().tls is None


# --- what the files are refused for ----------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ca": "none.pem"}, "none.pem: No such file or directory"),
        ({"ca": "empty.pem"}, "empty.pem"),
        ({"ca": "text.pem"}, "text.pem"),
        ({"ca": "key.pem"}, "key.pem"),
        ({"cert": "none.pem", "key": "key.pem"}, "none.pem: No such file"),
        ({"cert": "cert.pem", "key": "none.pem"}, "none.pem: No such file"),
        ({"cert": "cert.pem", "key": "text.pem"}, "text.pem"),
        ({"cert": "key.pem", "key": "key.pem"}, "key.pem"),
        ({"cert": "cert.pem", "key": "cert.pem"}, "cert.pem"),
        ({"cert": "cert.pem", "key": "other.key"}, "does not fit"),
        ({"cert": "expired.pem", "key": "key.pem"}, "certificate has expired (CN=old"),
        ({"cert": "early.pem", "key": "key.pem"}, "certificate is not yet valid"),
        ({"cert": "cert.pem", "key": "locked.key"}, "needs key_password"),
        ({"ciphers": "NONSENSE"}, "NONSENSE"),
        ({"ciphers": "DEFAULT@SECLEVEL=0"}, "@"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_files_are_refused_at_construction(files, options, says):
    with pytest.raises(ValueError, match=r"^tls: ") as caught:
        Client(NOWHERE, tls=Tls(**given(files, **options)))
    assert says in str(caught.value)
    assert "PEM routines" not in str(caught.value), "no words of OpenSSL's inside"


def test_a_folder_without_hashes_is_refused(files):
    (files / "folder").mkdir()
    (files / "folder/ca.pem").write_bytes((files / "ca.pem").read_bytes())
    with pytest.raises(ValueError, match=r"folder: .*openssl rehash"):
        Client(NOWHERE, tls=Tls(ca=files / "folder"))


def test_files_and_folders_that_are_right(files):
    (files / "folder").mkdir()
    (files / "folder/ca.pem").write_bytes((files / "ca.pem").read_bytes())
    subprocess.run([OPENSSL, "rehash", files / "folder"], check=True)
    for options in (
        {"ca": "ca.pem"},
        {"ca": files / "ca.pem"},
        {"ca": str(files / "folder")},
        {"ca": os.fsencode(files / "ca.pem").decode()},
        {"cert": "cert.pem", "key": "key.pem"},
        {"cert": "cert.pem", "key": "locked.key", "key_password": SECRET},
        {"cert": "cert.pem", "key": "locked.key", "key_password": SECRET.encode()},
        {"server_name": "rpc", "min_version": "1.3", "reload": 0},
        {"server_name": "::1", "ciphers": "ECDHE+AESGCM"},
        {"ciphers": "TLS_AES_128_GCM_SHA256"},
    ):
        with Client(NOWHERE, tls=Tls(**given(files, **options))) as client:
            assert client.servers()[0].tls is None


def test_a_password_is_shown_nowhere(files, caplog):
    right = given(files, cert="cert.pem", key="locked.key", key_password=SECRET)
    tls = Tls(**right)
    shown = [repr(tls), str(tls), repr(Options(tls=tls))]
    with Client(NOWHERE, tls=tls) as client:
        shown += [repr(client), repr(client.servers()), repr(client.stats())]
    for wrong in (
        {**right, "key_password": SECRET + "x"},
        {**right, "key_password": SECRET + "\0"},
        {**right, "key": str(files / "other.key")},
        {**right, "cert": None, "key": None},
        {**right, "verify": SECRET[:0]},
    ):
        with pytest.raises((ValueError, TypeError)) as caught:
            Client(NOWHERE, tls=Tls(**wrong))
        shown += traceback.format_exception(caught.value)
    with pytest.raises(TypeError) as caught:
        Tls(cert="a", key="b", key_password=[SECRET])
    shown += traceback.format_exception(caught.value)
    assert SECRET not in "".join([*shown, caplog.text])


def test_a_wrong_password_is_reported_as_such(files):
    wrong = given(files, cert="cert.pem", key="locked.key", key_password=SECRET[1:])
    with pytest.raises(ValueError, match=r"locked\.key: key_password is wrong"):
        Client(NOWHERE, tls=Tls(**wrong))


def test_a_locked_key_prompts_for_no_password(files):
    """OpenSSL would read the password from the terminal."""
    code = (
        "import jsonrpcc, sys\n"
        "try: jsonrpcc.Client('127.0.0.1:1', tls=jsonrpcc.Tls(cert=sys.argv[1],"
        " key=sys.argv[2]))\n"
        "except ValueError as error: print(error)"
    )
    command = [sys.executable, "-c", code, files / "cert.pem", files / "locked.key"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=True
    )
    assert "needs key_password" in done.stdout
    assert done.stderr == ""


def test_the_version_names_the_library():
    said = subprocess.check_output(
        [sys.executable, "-m", "jsonrpcc", "--version"], text=True
    )
    assert said.startswith(f"{jsonrpcc.__version__} (OpenSSL 3.")
