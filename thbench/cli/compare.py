"""`thbench compare`: two runs beside each other, with paired differences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import NothingMeasuredError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "compare",
        help="paired differences of two runs, with intervals",
        description="Compares what two runs have in common, clip by clip, with intervals over identities and Holm's "
        "correction over the table; costs by ratios of timings. For a verdict use thbench gate.",
    )
    parser.add_argument("a", type=Path, metavar="RUN_A", help="run folder, or a cost record")
    parser.add_argument("b", type=Path, metavar="RUN_B", help="run folder, or a cost record")
    parser.add_argument("--only", metavar="GLOB", default="*", help="only the metrics and costs that match")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write JSON to FILE (- for standard output)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print.

    Raises:
        NothingMeasuredError: The runs have nothing in common.
    """
    import fnmatch

    from rich.console import Console

    from thbench.cli.writing import write_text
    from thbench.errors import ExitCode
    from thbench.gate.compare import compare_runs
    from thbench.gate.compare_text import render
    from thbench.gate.gate import read_side

    report = compare_runs(read_side(args.a), read_side(args.b))
    chosen = tuple(d for d in report.differences if fnmatch.fnmatchcase(d.metric, args.only))
    report = report.model_copy(update={"differences": chosen})
    if args.json is not None:
        write_text(args.json, report.model_dump_json(indent=1) + "\n", "--json")
    if str(args.json) != "-":
        console = Console()
        console.print(render(report))
    if not any(d.difference is not None for d in chosen):
        raise NothingMeasuredError(
            f"{args.a} and {args.b} have no measured metric or cost in common; see thbench report and --only"
        )
    sys.stdout.flush()
    return ExitCode.OK
