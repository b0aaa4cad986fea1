"""`thbench parity`: checks our networks and functions against parity fixtures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers
    from thbench.parity import Outcome
    from thbench.parity.runner import Agreement


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser("parity", help="check our networks against parity fixtures")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a fixture, or a folder of fixtures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every error and tolerance to FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check each fixture, print a line for it, and return 0 if all passed, else 1."""
    from thbench.parity import Report, check, find_fixtures, find_targets

    if args.json is not None and not args.json.parent.is_dir():
        raise UsageError(f"{args.json.parent} is not a folder; --json needs a file in an existing folder")
    folders, targets = find_fixtures(args.folders), find_targets()
    width = max(len(folder.name) for folder in folders)
    sys.stdout.write(f"{'fixture':<{width}}  outputs  worst error / tolerance  seconds  status\n")
    outcomes = []
    for folder in folders:
        outcomes.append(check(folder, targets))
        sys.stdout.write(_lines(outcomes[-1], width, detailed=len(folders) == 1))
        sys.stdout.flush()
    if args.json is not None:
        args.json.write_text(Report(fixtures=tuple(outcomes)).model_dump_json(indent=2) + "\n", encoding="utf-8")
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    sys.stdout.write(f"{passed} of {len(outcomes)} fixtures passed\n")
    return ExitCode.OK if passed == len(outcomes) else ExitCode.FAILED


def _lines(outcome: Outcome, width: int, *, detailed: bool) -> str:
    """Return the line of a fixture, then one for each output that failed (or for each one, when `detailed`)."""
    agreements = outcome.outputs
    passed = f"{sum(a.passed for a in agreements)}/{len(agreements)}"
    worst = f"{max(map(_share, agreements)):.3g}" if agreements else "-"
    name = Path(outcome.folder).name
    text = f"{name:<{width}}  {passed:>7}  {worst:>23}  {outcome.seconds:>7.1f}  {outcome.status}\n"
    if outcome.message:
        text += f"  {outcome.message}\n"
    return text + "".join(_output_line(a) for a in agreements if detailed or not a.passed)


def _output_line(agreement: Agreement) -> str:
    reason = f": {agreement.problem}" if agreement.problem else ""
    return (
        f"  {'passed' if agreement.passed else 'FAILED'}  {agreement.output}: "
        f"error {agreement.error:.3g}, tolerance {agreement.tolerance:.3g}{reason}\n"
    )


def _share(agreement: Agreement) -> float:
    """Return the error as a multiple of the tolerance."""
    if agreement.error == 0:
        return 0.0
    return agreement.error / agreement.tolerance if agreement.tolerance else float("inf")
