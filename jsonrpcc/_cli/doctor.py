"""The command ``jsonrpcc doctor``: what works, what does not, and what to do."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator

import jsonrpcc
from jsonrpcc._cli import checks
from jsonrpcc._cli.checks import Finding
from jsonrpcc._cli.client_options import read_client
from jsonrpcc._cli.connecting import settle_servers
from jsonrpcc._cli.exits import FAILURE, OK
from jsonrpcc._cli.output import visible, visible_json, write
from jsonrpcc._cli.servers import is_decided

PAUSE = 0.01  # seconds between two looks at the client


def findings(args: argparse.Namespace) -> Iterator[Finding]:
    """Check everything, from the names to the answers."""
    options = read_client(args)
    with jsonrpcc.Client(args.servers, **{"max_conn_attempts": 0, **options}) as client:
        deadline = time.monotonic() + args.timeout
        while not is_decided(client) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        servers = client.servers()
        yield from checks.names(client)
    for server in servers:
        broken = False
        for finding in checks.addresses(server, args.timeout):
            broken = broken or finding.level == "fail"
            yield finding
        if options["tls"] is not None and not broken:
            for finding in checks.tls(server):
                broken = finding.level == "fail"
                yield finding
        if not broken:
            yield from checks.answers(server, args.timeout, options)
    yield checks.lateness()
    yield checks.descriptors()


def page(found: list[Finding]) -> Iterator[str]:
    """Return the lines of the page, by topic, and the sum at its end."""
    topics = dict.fromkeys(finding.topic for finding in found)
    for topic in topics:
        yield topic
        for finding in found:
            if finding.topic == topic:
                yield f"  {finding.level:4}  {visible(finding.text)}"
                if finding.advice:
                    yield f"        -> {finding.advice}"
    yield ""
    failed = sum(finding.level == "fail" for finding in found)
    warned = sum(finding.level == "warn" for finding in found)
    if failed:
        yield f"{failed} of {len(found)} checks failed: begin with the first of them."
    elif warned:
        yield f"All servers can be used; {warned} of {len(found)} checks warn."
    else:
        yield f"All is well: {len(found)} checks."


def run(args: argparse.Namespace) -> int:
    """Check everything and print a page."""
    settle_servers(args)
    found = list(findings(args))
    if args.json:
        write(visible_json(json.dumps(list(map(dataclasses.asdict, found)))) + "\n")
    else:
        write("\n".join(itertools.chain(page(found), [""])))
    return FAILURE if any(finding.level == "fail" for finding in found) else OK
