"""`thbench gate`: whether speed or quality really got worse. Made for continuous integration."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers
    from thbench.gate.gate import Confirm


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "gate",
        help="whether a candidate run is worse than its baseline, by rules",
        description="Exit codes: 0 fine; 1 regression: told apart from none, large enough to matter, and found again "
        "by the confirmation; 2 cannot tell: too few, too noisy, nothing measured, unconfirmed, or a protocol to "
        "check; 3 wrong usage.",
    )
    parser.add_argument(
        "--baseline", type=Path, metavar="RUN", help="run folder (costs/*.json inside), or a cost record"
    )
    parser.add_argument("--candidate", type=Path, metavar="RUN", help="the same of what is examined")
    parser.add_argument("--anchor", type=Path, metavar="RUN", help="a fixed older run: small losses add up against it")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="rules in TOML (default: see --print-rules)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--confirm", type=Path, metavar="RUN", help="a second run of the candidate: red only if it is too"
    )
    again.add_argument(
        "--confirm-command",
        metavar="CMD",
        help="makes the second run, only if something is red; {candidate} and {baseline} in it become empty folders",
    )
    parser.add_argument("--confirm-baseline", type=Path, metavar="RUN", help="with --confirm: the baseline run again")
    parser.add_argument("--noise", type=Path, metavar="FILE", help="this machine's noise, as --calibrate wrote it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON (- for standard output)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report as Markdown")
    parser.add_argument(
        "--pytest-benchmark", type=Path, metavar="FILE", help="write the candidate's timings as pytest-benchmark JSON"
    )
    parser.add_argument("--print-rules", action="store_true", help="print the default rules and do nothing else")
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="RUN",
        help="compare the timings of RUN with themselves, write this machine's noise to --noise and do nothing else",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge, print, and give the verdict as exit code."""
    if args.print_rules:
        from thbench.gate.rules import DEFAULT_TOML

        sys.stdout.write(DEFAULT_TOML)
        return ExitCode.OK
    if args.calibrate is not None:
        return _calibrate(args)
    if args.baseline is None or args.candidate is None:
        raise UsageError("thbench gate needs --baseline RUN and --candidate RUN; see thbench gate --help")
    if args.confirm_baseline is not None and args.confirm is None:
        raise UsageError("--confirm-baseline belongs to --confirm RUN; a --confirm-command measures into {baseline}")
    return _judge(args)


def _judge(args: argparse.Namespace) -> int:
    from rich.console import Console

    from thbench.cli.writing import write_text
    from thbench.gate.gate import read_side, run_gate
    from thbench.gate.noise import read_noise
    from thbench.gate.rules import default_rules, read_rules
    from thbench.gate.text import render, to_markdown

    rules = default_rules() if args.rules is None else read_rules(args.rules)
    noise = None if args.noise is None else read_noise(args.noise)
    candidate = read_side(args.candidate)
    anchor = None if args.anchor is None else read_side(args.anchor)
    with tempfile.TemporaryDirectory(prefix="thbench-gate-") as scratch:
        confirm = _confirm(args, Path(scratch))
        report = run_gate(read_side(args.baseline), candidate, rules, anchor=anchor, confirm=confirm, noise=noise)
    if args.json is not None:
        write_text(args.json, report.model_dump_json(indent=1) + "\n", "--json")
    if args.markdown is not None:
        write_text(args.markdown, to_markdown(report), "--markdown")
    if args.pytest_benchmark is not None:
        from thbench.gate.benchmark_json import to_pytest_benchmark

        if not candidate.costs.records:
            raise UsageError(f"--pytest-benchmark: {args.candidate} holds no cost record; make one with thbench time")
        text = json.dumps(to_pytest_benchmark(candidate.costs), indent=1) + "\n"
        write_text(args.pytest_benchmark, text, "--pytest-benchmark")
    if str(args.json) != "-":
        Console().print(render(report), soft_wrap=True)
    return report.exit_code


def _confirm(args: argparse.Namespace, scratch: Path) -> Confirm | None:
    from thbench.gate.gate import confirmation_by, confirmation_from

    if args.confirm is not None:
        return confirmation_from(args.confirm, args.confirm_baseline)
    if args.confirm_command is not None:
        return confirmation_by(args.confirm_command, scratch)
    return None


def _calibrate(args: argparse.Namespace) -> int:
    from rich.console import Console

    from thbench.cli.writing import write_text
    from thbench.gate.costs import read_costs
    from thbench.gate.noise import calibrate
    from thbench.gate.noise_text import render

    if args.noise is None:
        raise UsageError("--calibrate needs --noise FILE, where the noise is written to")
    costs = read_costs(args.calibrate)
    if not costs.records:
        raise UsageError(f"{args.calibrate} holds no cost record; make one with thbench time METHOD --json FILE")
    noise = calibrate(costs, datetime.now(UTC).isoformat(timespec="seconds"))
    write_text(args.noise, noise.model_dump_json(indent=1) + "\n", "--noise")
    Console().print(render(noise))
    return ExitCode.OK
