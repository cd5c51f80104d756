"""``jsonrpcc completion``: scripts for shells."""

import subprocess
import sys

import pytest
from command_line import in_process
from time_limits import TOOLS


@pytest.fixture
def run(capsys):
    return lambda *args: in_process(args, capsys)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_knows_commands_and_options(run, shell):
    code, out, err = run("completion", shell)
    assert (code, err) == (0, [])
    for word in ("call", "servers", "json-errors"):
        assert word in out


def test_a_shell_that_shtab_is_too_old_for(run, monkeypatch):
    monkeypatch.setattr("shtab.SUPPORTED_SHELLS", ["bash"])
    code, out, (error,) = run("completion", "fish")
    assert (code, out) == (2, "")
    assert "fish needs a newer shtab than " in error


def test_bash_takes_the_completion(run, tmp_path):
    script = tmp_path / "completion"
    script.write_text(run("completion", "bash")[1])
    asked = (
        f"source {script}; COMP_WORDS=(jsonrpcc ca); COMP_CWORD=1;"
        ' _shtab_jsonrpcc; echo "${COMPREPLY[@]}"'
    )
    bash = ["/bin/bash", "--norc", "-c", asked]
    done = subprocess.run(bash, env=TOOLS, capture_output=True, text=True, check=False)
    assert done.stdout == "call\n", done.stderr


def test_completion_without_shtab_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, out, (error,) = run("completion", "bash")
    assert (code, out) == (2, "")
    assert error.endswith("pip install 'jsonrpcc[cli]'")
