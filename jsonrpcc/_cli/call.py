"""The command ``jsonrpcc call``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any

import msgspec

import jsonrpcc
from jsonrpcc._cli.connecting import read_tls, settle_servers
from jsonrpcc._cli.exits import OK
from jsonrpcc._cli.output import Printer, complain_of, write


class TextCodec:
    """Leaves JSON as text, so that numbers are printed exactly as received."""

    @staticmethod
    def encode(value: Any) -> bytes:
        """Encode; only text is sent here."""
        return msgspec.json.encode(value)

    @staticmethod
    def decode(text: bytes) -> bytes:
        """Leave it unchanged."""
        return text


def type_named(name: str) -> Any:
    """
    Return the type ``module:Type``, also of a module in the current directory.

    Raises:
        ValueError: There is no such type; says why.
    """
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise ValueError(f"--type must be MODULE:TYPE, not {name!r}")
    sys.path.insert(0, "")  # the script jsonrpcc does not search the current directory
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--type: {error}") from error
    return found


def _model(value: Any) -> Any:
    """Turn an object that msgspec does not know into one that it does."""
    dump = getattr(value, "model_dump", None)  # pydantic's
    if dump is None:
        raise TypeError(f"--type: objects of {type(value).__name__} are no JSON")
    return dump(mode="json")


def text_of(result: Any) -> bytes:
    """Return the JSON text of a result: as received, or that of an object."""
    if isinstance(result, bytes):
        return result
    return msgspec.json.encode(result, enc_hook=_model)


def printing(args: argparse.Namespace, *, pretty: bool | None) -> Callable[[Any], str]:
    """Return what makes the text to print of a result."""
    printer = Printer(pretty=pretty, colour=args.color)
    return lambda result: printer.text(text_of(result))


def run(args: argparse.Namespace) -> int:
    """Call a method and print its result, or the results for all lines of stdin."""
    settle_servers(args, "method", "params")
    options = {
        "timeout": args.timeout,
        "idempotent": args.idempotent,
        "wait_for_ready": args.wait,
        "result_type": type_named(args.type) if args.type else None,
    }
    with jsonrpcc.Client(args.servers, codec=TextCodec, tls=read_tls(args)) as client:
        if args.params == "-":
            lines = importlib.import_module("jsonrpcc._cli.lines")
            code: int = lines.call_each(
                client,
                args.method,
                options,
                in_flight=args.in_flight,
                text=printing(args, pretty=bool(args.pretty)),
                as_json=args.json_errors,
            )
            return code
        try:
            result = client.call(args.method, args.params, **options)
        except jsonrpcc.JsonRpcError as error:
            return complain_of(error, as_json=args.json_errors)
    write(printing(args, pretty=args.pretty)(result))
    return OK
