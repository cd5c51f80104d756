"""The commands of the page on TLS make certificates with which its client connects."""

import re
import shutil
import subprocess

import pytest
from snippets import LIMIT, METHODS, blocks, check_python, read
from time_limits import TOOLS

from jsonrpcc.testing import Server, ServerTls

PAGE = "docs/tls.md"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_a_private_authority_in_five_commands(tmp_path):
    (commands,) = [block.values[0] for block in blocks(PAGE, "sh")]
    assert len(commands.splitlines()) == 5
    (code,) = [block.values[0] for block in blocks(PAGE, "py")]
    subprocess.run(
        ["/bin/sh", "-e", "-c", commands],
        cwd=tmp_path, env=TOOLS, check=True, capture_output=True, timeout=LIMIT,
    )  # fmt: skip
    own = tmp_path / "server.pem", tmp_path / "server.key"
    tls = ServerTls(*own, client_ca=tmp_path / "ca.pem")
    with Server(METHODS, tls=tls) as server:
        here = code.replace("rpc.internal:9999", f"localhost:{server.port}")
        assert here != code
        check_python(f"{here}client.close()\n", lambda text: text, cwd=tmp_path)
        assert [each.method for each in server.requests] == ["add"]


def test_words_of_the_table_are_those_of_the_tests():
    """Those of certificates; the rest is alerts."""
    source = read("tests/support/bad_certificates.py")
    said = set(re.findall(r'^[A-Z_]+ = "([a-z].+)"$', source, re.MULTILINE))
    said |= {"IP address mismatch"}
    table = read(PAGE).partition("| text |")[2]
    for text in said - {"invalid CA certificate", "a.rpc.example", "openssl"}:
        assert f"`{text}`" in table, text
