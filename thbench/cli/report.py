"""`thbench report`: writes the report of a run again, or one of several runs together."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from thbench.cli.entry import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "report",
        help="write the leaderboard of a run again",
        description="Writes leaderboard.json, .csv, .md, .tex, the site (index.html) and its figures from the records "
        "of a run, finished or not. Several runs (shards of one suite on several machines) give one report.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: the run folder)")
    parser.add_argument(
        "--against", type=Path, metavar="OTHER", help="another run that the site compares this one with"
    )
    parser.add_argument(
        "--clips", type=int, default=3, metavar="N", help="clips whose videos the site shows (default: 3)"
    )
    parser.add_argument(
        "--validation", type=Path, metavar="FILE", help="JSON of thbench validate-metrics, to draw it in full"
    )
    parser.add_argument("--no-figures", action="store_true", help="draw no figures")
    parser.add_argument("--json", action="store_true", help="print the leaderboard as JSON instead of a table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report, then print it.

    Returns:
        OK, or UNDECIDED if no clip gave a value.

    Raises:
        UsageError: A run cannot be read, several are given without `--out`, or a number is out of range.
    """
    with _without_collector():
        return _write(args)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of values are read, none of them in a circle; to look for circles would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _write(args: argparse.Namespace) -> int:
    from rich.console import Console

    from thbench.report.site import publish
    from thbench.report.terminal import render_table
    from thbench.report.write import FORMATS, leaderboard_of, to_json, write_files
    from thbench.run.store import check_writable, merge
    from thbench.validate.document import read_validation

    if len(args.runs) > 1 and args.out is None:
        raise UsageError(f"{len(args.runs)} runs are given and no place for their report; name a folder with --out DIR")
    if args.clips < 0:
        raise UsageError(f"--clips is {args.clips}; it must be 0 or more")
    folder = args.out or args.runs[0]
    contents = merge(args.runs)
    other = merge([args.against]) if args.against is not None else None
    check_writable(folder)
    leaderboard = leaderboard_of(contents)
    write_files(leaderboard, folder)
    against = (other, leaderboard_of(other)) if other is not None else None
    validation = read_validation(args.validation) if args.validation is not None else None
    said = publish(
        contents,
        leaderboard,
        folder,
        clips=args.clips,
        against=against,
        validation=validation,
        figures=not args.no_figures,
    )
    if args.json:
        sys.stdout.write(to_json(leaderboard))
    else:
        console = Console()
        console.print(render_table(leaderboard, console.width))
        console.print(f"Wrote {', '.join(FORMATS)} to {folder}", soft_wrap=True, highlight=False, markup=False)
        console.print(said, soft_wrap=True, highlight=False, markup=False)
    scored = any(cell.scored for row in leaderboard.rows for cell in row.cells.values())
    return int(ExitCode.OK if scored else ExitCode.UNDECIDED)
