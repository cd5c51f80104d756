"""The options of ``jsonrpcc bench``."""

from __future__ import annotations

import argparse

from jsonrpcc._cli.arguments import between, seconds


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    """Add how to call, what to look for and how to report."""
    _add_load(parser)
    _add_reports(parser)


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--methods",
        metavar="FILE",
        help="instead of METHOD: lines of WEIGHT METHOD [PARAMS], chosen at random "
        "by weight",
    )
    parser.add_argument(
        "--rate",
        type=between(float, 0.1, 10_000_000),
        metavar="N",
        help="calls a second (default: 1000); with --find, the first that is tried",
    )
    parser.add_argument(
        "--arrivals",
        choices=("constant", "poisson"),
        default="constant",
        help="evenly spaced, or at random as those of many users (default: constant)",
    )
    parser.add_argument(
        "--in-flight",
        type=between(int, 1, 1_000_000),
        metavar="N",
        help="instead of --rate: keep so many calls in flight",
    )
    parser.add_argument(
        "--max-in-flight",
        type=between(int, 1, 1_000_000),
        default=10_000,
        metavar="N",
        help="calls at a time at most; those that have to wait for others count from "
        "when they were due (default: 10000)",
    )
    for option, default, text in (
        ("--duration", 10.0, "how long to measure"),
        ("--warmup", 1.0, "how long to call before that"),
    ):
        parser.add_argument(
            option,
            type=seconds,
            default=default,
            metavar="SECONDS",
            help=f"{text} (default: {default:g})",
        )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="for each call (default: 5)",
    )
    parser.add_argument(
        "--processes",
        type=between(int, 1, 256),
        default=1,
        metavar="N",
        help="that share the calls (default: 1)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="of what is random: the same calls again (default: 1)",
    )


def _add_reports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--find",
        action="store_true",
        help="look for the highest rate with a p99 within --slo and no errors",
    )
    parser.add_argument(
        "--slo", type=seconds, metavar="SECONDS", help="the p99 to look for"
    )
    parser.add_argument("--json", action="store_true", help="print all as JSON")
    parser.add_argument(
        "--hdr",
        metavar="FILE",
        help="write the distribution, in ms, as HdrHistogram's plotter reads it",
    )
    parser.add_argument(
        "--svg", metavar="FILE", help="draw the distribution, by matplotlib"
    )
