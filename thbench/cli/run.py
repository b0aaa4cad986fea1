"""`thbench run`: generates, evaluates, aggregates and reports a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    from thbench.cli.running import add_running_arguments

    parser = subparsers.add_parser("run", help="generate, evaluate, aggregate and report a suite")
    parser.add_argument("suite", metavar="SUITE", help="name of a suite (see `thbench list suites`) or a TOML file")
    parser.add_argument("--data", type=Path, metavar="DIR", help="your folder of clips instead of the suite's dataset")
    parser.add_argument("--dataset", metavar="NAME", help="how --data is laid out (default: folder)")
    parser.add_argument("--only", metavar="GLOB", help="only the variants that match")
    add_running_arguments(parser, default_out="runs/SUITE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the suite."""
    from thbench.cli.running import finish, prepare_folder, selection_of, workforce_of
    from thbench.evaluate.settings import Settings
    from thbench.registry import DATASETS
    from thbench.run.planning import suite_jobs
    from thbench.run.provenance import recipe_of
    from thbench.run.suite import read_suite, select_variants
    from thbench.spec import load

    suite = read_suite(args.suite)
    workforce = workforce_of(args)
    variants = select_variants(suite, args.only)
    selection = selection_of(args, suite.metrics)
    settings = Settings(fps=suite.fps, missing_face=suite.missing_face)
    recipe = recipe_of(selection, settings)
    data = args.data or (Path(suite.data) if suite.data else None)
    dataset = DATASETS[args.dataset or ("folder" if args.data else suite.dataset)]
    if data is None and not dataset.embedded:
        raise UsageError(f"suite {suite.name!r} names no data; give its folder of clips with --data DIR")
    clips = load(dataset.factory, purpose=f"dataset {dataset.name!r}")(data)[: suite.max_clips]
    folder = prepare_folder(args.out or Path("runs") / suite.name)
    jobs = suite_jobs(clips, variants, suite, recipe=recipe.key)
    return finish(
        args,
        folder=folder,
        jobs=jobs,
        selection=selection,
        settings=settings,
        recipe=recipe,
        suite={
            "command": "run",
            **suite.model_dump(mode="json"),
            "dataset": dataset.name,
            "data": str(data) if data else None,
        },
        workforce=workforce,
        controls=suite.controls,
    )
