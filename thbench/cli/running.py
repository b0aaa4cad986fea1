"""What `run` and `eval` share: the options of a run, the run folder, and the way from jobs to a report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.errors import ExitCode, NothingMeasuredError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

    from thbench.backbones.mode_names import Mode
    from thbench.evaluate.settings import Settings
    from thbench.metrics.available import Selection
    from thbench.report.leaderboard import Leaderboard
    from thbench.run.info import Recipe
    from thbench.run.planning import Planned
    from thbench.run.runner import Workforce


MODES: Mapping[str, tuple[Mode, ...]] = {"exact": ("exact",), "fast": ("fast",), "both": ("exact", "fast")}
"""Choice of `--mode` to the modes of the networks."""


def add_running_arguments(parser: argparse.ArgumentParser, *, default_out: str) -> None:
    """Declare the options that every run has."""
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        default="exact",
        help="how the metrics' networks run: exact as published; fast by 8-bit products, under names of their own that "
        "end in .fast; both, which prints the difference (default: exact)",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        metavar="NAME",
        help="where the metrics' networks and the methods compute: cpu, cuda or cuda:N (default: cpu)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"run folder (default: {default_out})")
    parser.add_argument("--resume", action="store_true", help="go on with a run; finished clips are not done again")
    parser.add_argument("--retry-failed", action="store_true", help="with --resume: try failed clips again")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the leaderboard to FILE (- for standard output)"
    )
    parser.add_argument(
        "--executor",
        choices=("local", "process", "ray"),
        default="process",
        help="where the work runs: this process, isolated processes, a Ray cluster (default: process)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="clips at a time (default: one for each core)")
    parser.add_argument(
        "--stall-timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="a worker that is silent for so many seconds is taken for hung, and its clip for failed (default: 600)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no table")


def workforce_of(args: argparse.Namespace) -> Workforce:
    """Read and check the options of the workers.

    Raises:
        UsageError: A number is out of range, or the device is not there.
    """
    from thbench.backbones.device import checked_device
    from thbench.run.runner import Workforce, default_workers

    checked_device(args.device)
    workers = default_workers() if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"--workers is {workers}; it must be 1 or more")
    if not args.stall_timeout > 0:
        raise UsageError(f"--stall-timeout is {args.stall_timeout:g}; it must be above 0 seconds")
    return Workforce(executor=args.executor, workers=workers, stall_seconds=args.stall_timeout)


def selection_of(args: argparse.Namespace, patterns: Iterable[str]) -> Selection:
    """Resolve names of metrics in the modes that were asked for.

    Raises:
        UsageError: A pattern matches nothing.
    """
    from thbench.metrics.available import in_modes, select

    selection = select(patterns)
    return selection if args.mode == "exact" else in_modes(selection, MODES[args.mode])


def prepare_folder(folder: Path) -> Path:
    """Make sure that results can be written before anything is computed.

    Raises:
        UsageError: The folder cannot be made or written to.
    """
    from thbench.run.store import check_writable

    check_writable(folder)
    return folder


def finish(
    args: argparse.Namespace,
    *,
    folder: Path,
    jobs: Planned,
    selection: Selection,
    settings: Settings,
    recipe: Recipe,
    suite: Mapping[str, Any],
    workforce: Workforce,
    controls: Mapping[str, Mapping[str, Any]] | None = None,
) -> int:
    """Run the jobs that have no record yet, then write and show the report.

    Returns:
        OK if every clip was scored, FAILED if some were not.

    Raises:
        NothingMeasuredError: No clip gave a value.
    """
    from thbench.cli.progress import RunProgress
    from thbench.report import write_report
    from thbench.report.site import publish
    from thbench.report.site.media import EXTRACTOR as CURVES
    from thbench.run.planning import without
    from thbench.run.runner import execute
    from thbench.run.session import open_run
    from thbench.run.store import RunStore
    from thbench.run.worker import WorkerPlan

    with open_run(
        folder,
        jobs,
        recipe=recipe,
        suite={**suite, "device": args.device},
        selection=selection,
        workers=workforce.workers,
        resume=args.resume,
    ) as session:
        plan = WorkerPlan(
            folder=folder,
            metrics=tuple(selection.specs),
            settings=settings,
            recipe=recipe.key,
            attempt=session.attempt,
            controls=controls or {},
            device=args.device,
        )
        left = without(jobs, session.store.finished_keys(retry_failed=args.retry_failed))
        with RunProgress([job.seconds for job in left], settings.fps, quiet=args.quiet) as progress:
            execute(left, plan, session.store, workforce, progress)
    # The report comes after the session, so that it says how the run ended.
    store = RunStore.open(folder)
    leaderboard = write_report(store)
    show(leaderboard, args, folder, publish(store.read(), leaderboard, folder))
    if not any(
        record.status == "ok" and (record.values or record.features.keys() - {CURVES}) for record in store.records()
    ):
        raise NothingMeasuredError(f"no clip gave a value; see the reasons in {folder / 'leaderboard.md'}")
    return ExitCode.FAILED if leaderboard.failures else ExitCode.OK


def show(leaderboard: Leaderboard, args: argparse.Namespace, folder: Path, site: str) -> None:
    """Print the table and where the site is, and the JSON where it was asked for."""
    from rich.console import Console

    from thbench.report import render_table

    if args.json is not None:
        text = json.dumps(json.loads(leaderboard.model_dump_json()), indent=2, ensure_ascii=False) + "\n"
        if str(args.json) == "-":
            sys.stdout.write(text)
        else:
            try:
                args.json.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UsageError(f"--json: cannot write {args.json}: {error.strerror}; give another file") from error
    if not args.quiet and str(args.json) != "-":
        console = Console()
        console.print(render_table(leaderboard, console.width))
        console.print(f"Report: {folder}/leaderboard.md, .csv, .tex, .json", soft_wrap=True, highlight=False)
        console.print(site, soft_wrap=True, highlight=False, markup=False)
