"""`thbench flops`: exact operation counts of a method's networks, without weights and without a GPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers
    from thbench.cost.counted import WorkReport


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "flops",
        help="operations, parameters and bytes of a method's networks",
        description="Counts the operations of a method's networks on meta tensors: exact, at the published size, "
        "without weights and without a GPU. A multiplication and an addition are two operations.",
    )
    parser.add_argument("method", metavar="METHOD", help="name of a method (see `thbench list methods`)")
    parser.add_argument("--preset", metavar="P", help="one of its presets (default: the first)")
    parser.add_argument("--accelerate", metavar="A+B", help="accelerations, counted beside the unaccelerated method")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts to FILE (- for stdout)")
    parser.add_argument("--machine", action="store_true", help="measure this machine, and say the least time it needs")
    parser.add_argument("--device", default="cpu", help="with --machine: cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--quiet", action="store_true", help="no table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Count, write, show."""
    from thbench.cost.counted import WorkReport
    from thbench.cost.device import open_device
    from thbench.cost.planned import count_variants, dtype_of
    from thbench.cost.rates import limits
    from thbench.run.suite import parse_variant

    preset = f"@{args.preset}" if args.preset else ""
    variants = [parse_variant(f"{args.method}{preset}")]
    if args.accelerate:
        variants.append(parse_variant(f"{args.method}{preset}+{args.accelerate}"))
    offer, counted = count_variants(variants)
    bounds = {}
    if args.machine:
        parts = {name: found for name, (_, found) in counted.items()}
        bounds = limits(parts, open_device(args.device), dtype_of(offer.dtype))
    report = WorkReport(works=tuple(work for work, _ in counted.values()), bounds=bounds)
    _write(report, args)
    return ExitCode.OK


def _write(report: WorkReport, args: argparse.Namespace) -> None:
    from rich.console import Console

    from thbench.cost.work_table import render_work

    text = report.model_dump_json(indent=1) + "\n"
    if str(args.json) == "-":
        sys.stdout.write(text)
        return
    if args.json is not None:
        try:
            args.json.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--json: cannot write {args.json}: {error.strerror}; give another file") from error
    if not args.quiet:
        Console().print(render_work(report))
