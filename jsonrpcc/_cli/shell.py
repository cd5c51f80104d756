"""The command ``jsonrpcc shell``: calls that are typed, with history and completion."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonrpcc
from jsonrpcc._cli.call import TextCodec
from jsonrpcc._cli.connecting import read_tls, settle_servers
from jsonrpcc._cli.exits import OK, USAGE
from jsonrpcc._cli.lines import Texts
from jsonrpcc._cli.output import (
    Printer,
    complain,
    complain_of,
    is_terminal,
    print_table,
    visible,
    write,
)

HELP = """\
METHOD [PARAMS]          call a method; PARAMS is a JSON array or object
.notify METHOD [PARAMS]  send a notification
.servers                 the state of each server
.timeout SECONDS         for the calls from now on
.help                    this
.quit                    or Ctrl-D
Tab completes methods that were called before.  Ctrl-C abandons a call.  A line that
begins with a space does not go into the history.
"""
KEPT = 1000  # lines of history


def history_file() -> Path:
    """Return where the history is kept."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "jsonrpcc" / "history"


class Editor:
    """Reads lines from a terminal, by readline, with a history and completion."""

    def __init__(self, prompt: str, *, history: Path | None) -> None:
        self._prompt = prompt
        self._history = history
        self._readline = importlib.import_module("readline")
        self._words: dict[str, None] = dict.fromkeys(
            line.split()[0] for line in HELP.splitlines() if line.startswith(".")
        )
        self._matches: list[str] = []
        self._readline.set_auto_history(False)
        self._readline.set_history_length(KEPT)
        self._readline.set_completer_delims(" \t\n")
        self._readline.set_completer(self._complete)
        self._readline.parse_and_bind("tab: complete")
        if history is not None:
            with contextlib.suppress(OSError):
                self._readline.read_history_file(history)
        for i in range(self._readline.get_current_history_length()):
            self._learn(self._readline.get_history_item(i + 1))

    def _learn(self, line: str) -> None:
        """Complete the method of a line from now on."""
        words = line.split()
        if words and words[0] == ".notify":
            del words[0]
        if words and not words[0].startswith("."):
            self._words[words[0]] = None

    def _complete(self, text: str, state: int) -> str | None:
        if state == 0:
            found = [each for each in self._words if each.startswith(text)]
            self._matches = [f"{each} " for each in found]
            if self._readline.get_begidx() and not self._is_notify():
                self._matches = []
        return self._matches[state] if state < len(self._matches) else None

    def _is_notify(self) -> bool:
        line = self._readline.get_line_buffer()[: self._readline.get_begidx()]
        return bool(line.split() == [".notify"])

    def read(self, prompt: str | None = None) -> str:
        """
        Return a line that was typed.

        Raises:
            EOFError, KeyboardInterrupt: Ctrl-D, Ctrl-C.
        """
        return input(self._prompt if prompt is None else prompt)

    def keep(self, line: str) -> None:
        """Remember a line, unless it begins with a space."""
        if line[:1].isspace():
            return
        self._learn(line)
        self._readline.add_history(" ".join(line.splitlines()))
        if self._history is not None:
            with contextlib.suppress(OSError):
                self._history.parent.mkdir(parents=True, exist_ok=True)
                self._history.touch(mode=0o600)  # params may be secret
                self._readline.write_history_file(self._history)


class Shell:
    """Carries lines out; an error ends a line, not the shell."""

    def __init__(self, client: jsonrpcc.Client, args: argparse.Namespace) -> None:
        self._client = client
        self._timeout: float | None = args.timeout
        self._printer = Printer(pretty=args.pretty, colour=args.color)
        self._is_timed = is_terminal()
        self._commands: dict[str, Callable[[str], None]] = {
            ".help": lambda _: write(HELP),
            ".notify": self._notify,
            ".servers": lambda _: print_table(self._servers()),
            ".timeout": self._set_timeout,
        }
        self.code = OK  # of the first error

    def carry_out(self, line: str) -> bool:
        """Carry a line out; False: it says to end."""
        word, _, rest = line.strip().partition(" ")
        if word in {".quit", ".exit"}:
            return False
        code = OK
        try:
            if word.startswith("."):
                self._command(word)(rest.strip())
            elif word:
                self._call(word, rest.strip() or None)
        except jsonrpcc.JsonRpcError as error:
            code = complain_of(error, as_json=False)
        except (TypeError, ValueError) as error:
            complain(str(error))
            code = USAGE
        self.code = self.code or code
        return True

    def _command(self, word: str) -> Callable[[str], None]:
        if word not in self._commands:
            raise ValueError(f"no command {word!r}; .help lists them")
        return self._commands[word]

    def _call(self, method: str, params: str | None) -> None:
        start = time.monotonic()
        result: Any = self._client.call(method, params, timeout=self._timeout)
        ms = (time.monotonic() - start) * 1000
        write(self._printer.text(result) + (f"({ms:.1f} ms)\n" * self._is_timed))

    def _notify(self, rest: str) -> None:
        method, _, params = rest.partition(" ")
        self._client.notification(method, params.strip() or None, timeout=self._timeout)

    def _set_timeout(self, text: str) -> None:
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(f".timeout SECONDS, not {text!r}") from None
        if not 0 < seconds < float("inf"):
            raise ValueError(f"the timeout must be above 0, not {text}")
        self._timeout = seconds

    def _servers(self) -> list[tuple[str, str, str]]:
        return [("SERVER", "STATE", "LAST ERROR")] + [
            (each.address, each.state, each.last_error or "")
            for each in self._client.servers()
        ]


def whole(line: str, more: Callable[[], str]) -> str:
    """Return a line with those that follow it as long as its brackets are open."""
    texts = Texts()
    texts.feed(f" {line}\n".encode())
    lines = [line]
    while line.strip() and texts.next() is None:
        lines.append(more())
        texts.feed(f" {lines[-1]}\n".encode())
    return "\n".join(lines)


def typed(editor: Editor) -> Iterator[str]:
    """Return the lines that are typed."""
    while True:
        try:
            line = whole(editor.read(), lambda: editor.read("... "))
        except EOFError:
            write("\n")
            return
        except KeyboardInterrupt:  # only the line
            write("\n")
            continue
        if line.strip():
            editor.keep(line)
            yield line


def piped() -> Iterator[str]:
    """Return the lines of stdin."""
    lines = iter(sys.stdin or ())
    for line in lines:
        # At the end, brackets that close what is open; the text is wrong anyway.
        yield whole(line.rstrip("\n"), lambda: next(lines, "]").rstrip("\n"))


def run(args: argparse.Namespace) -> int:
    """Carry out what is typed, or what is on stdin."""
    settle_servers(args)
    is_typed = sys.stdin is not None and sys.stdin.isatty() and is_terminal()
    with jsonrpcc.Client(args.servers, codec=TextCodec, tls=read_tls(args)) as client:
        shell = Shell(client, args)
        if not is_typed:
            for line in piped():
                if not shell.carry_out(line):
                    break
            return shell.code
        prompt = f"{visible(args.servers)[:40]}> "
        history = None if args.no_history else history_file()
        for line in typed(Editor(prompt, history=history)):
            try:
                if not shell.carry_out(line):
                    break
            except KeyboardInterrupt:
                complain("abandoned")
    return OK
