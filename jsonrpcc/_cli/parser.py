"""The parser of the command line."""

from __future__ import annotations

import argparse
import shlex

import jsonrpcc
from jsonrpcc import capi
from jsonrpcc._cli.arguments import Commands, Show, between, seconds
from jsonrpcc._cli.bench_options import add_bench_options
from jsonrpcc._cli.colours import CHOICES
from jsonrpcc._cli.connecting import add_client, add_servers, add_tls
from jsonrpcc._cli.exits import EXIT_CODES
from jsonrpcc._tls import library


def _add_timeout(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("-t", "--timeout", type=seconds, metavar="SECONDS", help=text)


def _add_request(parser: argparse.ArgumentParser, params: str) -> None:
    """Add what call and notify have in common."""
    add_servers(parser)
    parser.add_argument("method", metavar="METHOD", help="its name")
    parser.add_argument("params", metavar="PARAMS", nargs="?", help=params)
    _add_timeout(parser, "for the whole call, connecting included (default: 5)")
    parser.add_argument(
        "-w",
        "--wait",
        action="store_true",
        help="wait for a server until the timeout, even if all are down",
    )
    add_tls(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Add how results are printed."""
    parser.add_argument(
        "--pretty",
        action=argparse.BooleanOptionalAction,
        help="indent results (default: on a terminal)",
    )
    parser.add_argument(
        "--color",
        choices=CHOICES,
        default="auto",
        help="colours; auto: on a terminal, unless NO_COLOR is set (default: auto)",
    )


def _add_call(commands: Commands) -> None:
    command = commands.add(
        "call",
        "call a method and print its result",
        "Writes the result to stdout as JSON, or an error to stderr as one line.\n\n"
        "With - as PARAMS, it calls the method for each text on stdin, usually one a\n"
        "line (JSON Lines), and prints a line for each result, in the order of the\n"
        "input.  Errors go to stderr with the number of their line; the exit code is\n"
        "that of the first.",
        "  jsonrpcc call localhost:9999 add '[1, 2]'\n"
        "  jsonrpcc call localhost:9999 get_user \"{'id': 1234}\" | jq .name\n"
        "  jsonrpcc call 'host1:9999,2 host2:9999,2 backup:9999,1' status -t 0.5\n"
        "  jsonrpcc call host:9999 status --tls --ca ca.pem\n"
        "  jsonrpcc call localhost:9999 import_user - <users.jsonl >ids.jsonl\n"
        "  JSONRPCC_SERVERS=localhost:9999 jsonrpcc call add '[1, 2]'\n",
        EXIT_CODES,
    )
    _add_request(
        command,
        "JSON text of an array or object, single quotes allowed; - reads as many as "
        "there are on stdin",
    )
    command.add_argument(
        "--idempotent",
        action="store_true",
        help="may be sent again when a connection breaks",
    )
    command.add_argument(
        "--in-flight",
        type=between(int, 1, 65536),
        default=1024,
        metavar="N",
        help="with -, calls at a time at most (default: 1024)",
    )
    command.add_argument(
        "--type",
        metavar="MODULE:TYPE",
        help="check results against this type, a msgspec.Struct, dataclass, TypedDict "
        "or pydantic model for example, and print what it makes of them",
    )
    _add_output(command)
    command.add_argument(
        "--json-errors", action="store_true", help="write errors of the call as JSON"
    )


def _add_notify(commands: Commands) -> None:
    command = commands.add(
        "notify",
        "send a notification",
        "Succeeds once it was sent to a server; there is no response.",
        "  jsonrpcc notify localhost:9999 update_user \"{'id': 1234}\"\n"
        "  jsonrpcc notify localhost:9999 reload --wait --timeout 30\n",
        EXIT_CODES,
    )
    _add_request(
        command, "JSON text of an array or object, single quotes allowed; - reads stdin"
    )


def _add_server_commands(commands: Commands) -> None:
    command = commands.add(
        "servers",
        "print the state of each server",
        "A server is up if it accepts a connection; nothing is sent but a hello.\n"
        "Weights, priorities of SRV records, several connections, and the names or\n"
        "files that servers come from have columns where there are any.",
        "  jsonrpcc servers 'host1:9999,2 host2:9999,2 backup:9999,1'\n"
        "  jsonrpcc servers srv:_users._tcp.example.org -o connections=4\n"
        "  jsonrpcc servers localhost:9999 --json\n",
        EXIT_CODES,
    )
    add_servers(command)
    command.set_defaults(timeout=2.0)
    _add_timeout(command, "how long connecting may take (default: 2)")
    command.add_argument(
        "--json", action="store_true", help="print all that is known as JSON"
    )
    command.add_argument("--pretty", action="store_true", help="indent the JSON")
    command.add_argument(
        "--watch",
        action="store_true",
        help="print what happens to them, a line each, until Ctrl-C",
    )
    add_client(command)
    add_tls(command)

    command = commands.add(
        "top",
        "show how each server answers, every second",
        "Calls each server a few times a second, and shows its state, answers a\n"
        "second, how long they took, calls in flight and errors: as a table on a\n"
        "terminal (with rich), else a line for each server.  Any answer to rpc.ping\n"
        "is one, also that there is no such method.",
        "  jsonrpcc top 'host1:9999 host2:9999'\n"
        "  jsonrpcc top localhost:9999 status --rate 2 --timeout 0.5\n"
        "  jsonrpcc top localhost:9999 --count 1 --json\n",
        EXIT_CODES,
    )
    add_servers(command)
    command.add_argument(
        "method",
        metavar="METHOD",
        nargs="?",
        default=None,
        help="what to call (default: rpc.ping)",
    )
    command.add_argument("params", metavar="PARAMS", nargs="?", help="its params")
    command.set_defaults(timeout=1.0)
    _add_timeout(command, "for each call, connecting included (default: 1)")
    command.add_argument(
        "--rate",
        type=between(float, 0.1, 1000),
        default=5.0,
        metavar="N",
        help="calls a second to each server (default: 5)",
    )
    command.add_argument(
        "--interval",
        type=between(float, 0.1, 3600),
        default=1.0,
        metavar="SECONDS",
        help="between two looks (default: 1)",
    )
    command.add_argument(
        "--count",
        type=between(int, 1, 2**31 - 1),
        metavar="N",
        help="end after so many looks; then the exit code is 4 if a server has not "
        "answered since the last but one",
    )
    command.add_argument("--json", action="store_true", help="print lines of JSON")
    add_tls(command)

    command = commands.add(
        "doctor",
        "check names, addresses, TLS and answers, and say what to do",
        "Looks names up, connects to each address, says the hello, calls rpc.ping\n"
        "(any answer is one, also that there is no such method) and looks at this\n"
        "machine.",
        "  jsonrpcc doctor 'host1:9999 dns:backend.example:9999'\n"
        "  jsonrpcc doctor host:9999 --tls --ca ca.pem\n"
        "  jsonrpcc doctor host:9999 --hello 'login [\"bob\"]' --hello rpc.ping\n",
        EXIT_CODES,
    )
    add_servers(command)
    command.set_defaults(timeout=2.0)
    _add_timeout(command, "for each connection and call (default: 2)")
    command.add_argument("--json", action="store_true", help="print the checks as JSON")
    add_client(command)
    add_tls(command)


def _add_shell(commands: Commands) -> None:
    command = commands.add(
        "shell",
        "type calls, with history and completion",
        "A line is METHOD PARAMS; .help lists what else there is.  Without a terminal\n"
        "it carries out the lines on stdin.  The history is kept in\n"
        "$XDG_STATE_HOME/jsonrpcc/history, or else below ~/.local/state.",
        "  jsonrpcc shell localhost:9999\n"
        "  echo 'add [1, 2]' | jsonrpcc shell localhost:9999\n",
        EXIT_CODES,
    )
    add_servers(command)
    _add_timeout(command, "for each call, connecting included (default: 5)")
    _add_output(command)
    command.add_argument(
        "--no-history", action="store_true", help="read and keep no history"
    )
    add_tls(command)


def _add_bench(commands: Commands) -> None:
    command = commands.add(
        "bench",
        "measure how quickly servers answer",
        "Makes calls at a given rate, however slowly they are answered, and measures\n"
        "from when each was due: if a server stops for a second, all calls of that\n"
        "second show it (an open loop).  With --in-flight, it makes the next call as\n"
        "soon as one is answered (a closed loop): that shows how many calls a server\n"
        "can take, but not how long its users wait.\n"
        "Needs hdrhistogram: pip install 'jsonrpcc[bench]'.",
        "  jsonrpcc bench localhost:9999 add '[1, 2]' --rate 5000\n"
        "  jsonrpcc bench localhost:9999 get_user '[{random}]' --arrivals poisson\n"
        "  jsonrpcc bench localhost:9999 add '[{n}, 1]' --in-flight 64\n"
        "  jsonrpcc bench localhost:9999 add '[1, 2]' --find --slo 0.01\n",
        EXIT_CODES,
    )
    add_servers(command)
    command.add_argument("method", metavar="METHOD", nargs="?", help="its name")
    command.add_argument(
        "params",
        metavar="PARAMS",
        nargs="?",
        help="JSON text of an array or object, in which {n} stands for the number of "
        "the call and {random} for a random one",
    )
    add_bench_options(command)
    add_tls(command)


def _add_serve(commands: Commands) -> None:
    command = commands.add(
        "serve",
        "run a server for experiments",
        "Prints its address, then serves until Ctrl-C or SIGTERM.  With -v, it writes\n"
        "a line for each request to stderr.\n\n"
        "methods:\n"
        "  echo(...)                   returns the params\n"
        "  add(a, b)                   returns a + b\n"
        "  sleep(seconds)              returns after that time\n"
        "  time()                      returns the seconds since 1970\n"
        "  fail(code, message, data)   answers with that error",
        "  jsonrpcc serve -v\n"
        "  jsonrpcc serve --port 0 --methods mypackage.methods\n"
        "  jsonrpcc serve --tls --cert server.pem --key server.key\n"
        "  jsonrpcc serve --unix /tmp/test.sock\n",
        EXIT_CODES,
    )
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    command.add_argument(
        "--port",
        type=between(int, 0, 65535),
        default=9999,
        help="default: 9999; 0: any free port",
    )
    command.add_argument(
        "--unix", metavar="PATH", help="listen at this Unix socket (@NAME: abstract)"
    )
    command.add_argument(
        "--methods",
        metavar="MODULE",
        help="serve the public functions of this module instead",
    )
    command.add_argument(
        "--tls",
        action="store_true",
        help="serve by TLS, with a certificate made for this if no --cert is given",
    )
    command.add_argument("--cert", metavar="FILE", help="certificate and chain, PEM")
    command.add_argument("--key", metavar="FILE", help="its key, PEM")
    command.add_argument(
        "--client-ca",
        metavar="FILE",
        help="clients need a certificate signed by this authority",
    )


def _add_completion(commands: Commands) -> None:
    command = commands.add(
        "completion",
        "print the completion script of a shell",
        "Needs shtab: pip install 'jsonrpcc[cli]'.",
        "  jsonrpcc completion bash >~/.local/share/bash-completion/completions/"
        "jsonrpcc\n"
        "  jsonrpcc completion zsh >~/.zfunc/_jsonrpcc   with ~/.zfunc in $fpath\n"
        "  jsonrpcc completion fish >~/.config/fish/completions/jsonrpcc.fish\n",
        EXIT_CODES,
    )
    command.add_argument(
        "shell",
        metavar="SHELL",
        choices=("bash", "zsh", "fish", "tcsh"),
        help="bash, zsh, fish or tcsh",
    )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="jsonrpcc",
        description="JSON-RPC 2.0 over TCP and netstrings.",
        epilog="examples:\n"
        "  jsonrpcc serve &\n"
        "  jsonrpcc call localhost:9999 add '[1, 2]'\n"
        "  jsonrpcc COMMAND --help      more about each\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action=Show,
        const=lambda: f"{jsonrpcc.__version__} ({library() or 'without TLS'})",
        help="print the version, and that of the TLS library",
    )
    group = parser.add_argument_group(
        "to build C extensions with jsonrpcc (nothing needs to be linked)"
    )
    for option, text, what in (
        ("--cflags", lambda: f"-I{capi.get_include()}", "flags for the compiler"),
        ("--cmakedir", capi.get_cmake_dir, "directory of the CMake package"),
        ("--pkgconfigdir", capi.get_pkgconfig_dir, "directory of jsonrpcc-capi.pc"),
    ):
        group.add_argument(
            option,
            action=Show,
            const=lambda text=text: shlex.quote(text()),
            help=f"print the {what}",
        )
    commands = Commands(parser)
    for add in (
        _add_call,
        _add_notify,
        _add_shell,
        _add_server_commands,
        _add_bench,
        _add_serve,
        _add_completion,
    ):
        add(commands)
    return parser
