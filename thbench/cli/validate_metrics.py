"""`thbench validate-metrics`: each metric against graded degradations with known order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.cli.writing import write_text
from thbench.errors import ExitCode, NothingMeasuredError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from thbench.cli.entry import Subparsers
    from thbench.validate.document import Validation

CLIPS = 4
"""Clips drawn afresh, so that two cores take less than six minutes."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "validate-metrics",
        help="try each metric on graded degradations",
        description="Tries each metric on graded degradations of known order; exits with 1 if one does not respond as "
        "it must.",
    )
    parser.add_argument("--metrics", default="*", metavar="A,B", help="names, families or globs (default: every one)")
    parser.add_argument("--degradations", default="", metavar="A,B", help="names (default: every one)")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"clips drawn afresh (default: {CLIPS})")
    parser.add_argument("--workers", type=int, metavar="N", help="clips at a time (default: one for each core)")
    parser.add_argument(
        "--executor", choices=("process", "local"), default="process", help="where they run (default: process)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), metavar="DIR", help="folder of the files (default: reports)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON to FILE (- for standard output)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Try the metrics, write the files, and return 1 if a metric fails its own expectations."""
    from thbench.run.runner import Workforce, default_workers
    from thbench.run.store import check_writable
    from thbench.validate.run import degradations_of, select_metrics, validate

    workers = default_workers() if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"--workers is {workers}; it must be 1 or more")
    check_writable(args.out)
    selection = select_metrics(_names(args.metrics))
    degradations = degradations_of(_names(args.degradations))
    with _Bar(quiet=args.quiet) as progressed:
        validation = validate(
            selection,
            degradations,
            acted=args.clips,
            workforce=Workforce(executor=args.executor, workers=workers),
            on_progress=progressed,
        )
    _write(validation, args.out)
    if args.json is not None:
        write_text(args.json, validation.model_dump_json(indent=1) + "\n", "--json")
    if not args.quiet and str(args.json) != "-":
        _show(validation)
    if all(verdict.verdict == "not measured" for verdict in validation.verdicts):
        why = (validation.failures or validation.verdicts[0].reasons or ("no reason given",))[0]
        raise NothingMeasuredError(f"no metric could be tried ({why}); see: thbench doctor")
    return ExitCode.FAILED if validation.failing or validation.failures else ExitCode.OK


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _write(validation: Validation, folder: Path) -> None:
    from thbench.validate.document import NAME
    from thbench.validate.figure import NO_FIGURE, can_draw, draw
    from thbench.validate.text import markdown

    stem = folder / NAME
    stem.with_suffix(".json").write_text(validation.model_dump_json(indent=1) + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(markdown(validation), encoding="utf-8")
    if can_draw():
        draw(validation, stem)
    else:
        sys.stderr.write(f"thbench: {NO_FIGURE}\n")


def _show(validation: Validation) -> None:
    from rich.console import Console

    from thbench.validate.text import terminal

    Console().print(terminal(validation))


class _Bar:
    """A progress bar on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("validate-metrics"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Callable[[float], None]:
        self._bar.start()
        return lambda share: self._bar.update(self._task, completed=share)

    def __exit__(self, *unused: object) -> None:
        self._bar.stop()
