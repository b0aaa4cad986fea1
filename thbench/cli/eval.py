"""`thbench eval`: scores videos that somebody else made."""

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

    parser = subparsers.add_parser(
        "eval",
        help="evaluate existing videos against reference videos",
        description="Scores every video of a folder, and the reference videos beside them as the ground-truth row. "
        "Videos and references belong together by file name.",
    )
    parser.add_argument("--generated", type=Path, required=True, metavar="DIR", help="folder of generated videos")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="folder of reference videos; without it only what needs none is scored",
    )
    parser.add_argument("--pairs", type=Path, metavar="CSV", help="table generated,reference, when names differ")
    parser.add_argument("--name", help="name of the row (default: name of the generated folder)")
    parser.add_argument("--metrics", default="all", metavar="A,B", help="names, families or globs (default: all)")
    parser.add_argument("--fps", type=float, default=25.0, help="evaluation rate (default: 25)")
    parser.add_argument(
        "--missing-face",
        choices=("skip", "fail", "hold"),
        default="skip",
        help="frames without a face: leave out, fail the clip's face metrics, or hold the last face (default: skip)",
    )
    parser.add_argument("--identities", type=Path, metavar="CSV", help="table clip,identity, for the intervals")
    parser.add_argument(
        "--identity", metavar="REGEX", help="its first group, searched in the clip name, is the identity"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn at random (default: 0)")
    add_running_arguments(parser, default_out="runs/eval-NAME")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score the folder."""
    from thbench.cli.running import finish, prepare_folder, selection_of, workforce_of
    from thbench.data.folder import identities_of
    from thbench.evaluate.pairs import pair_folders
    from thbench.evaluate.settings import Settings
    from thbench.run.planning import eval_jobs
    from thbench.run.provenance import recipe_of

    if not 0 < args.fps <= 240:
        raise UsageError(f"--fps is {args.fps:g}; it must be above 0 and at most 240")
    workforce = workforce_of(args)
    row = args.name or args.generated.resolve().name
    selection = selection_of(args, (part.strip() for part in args.metrics.split(",") if part.strip()))
    settings = Settings(fps=args.fps, missing_face=args.missing_face)
    recipe = recipe_of(selection, settings)
    pairs = pair_folders(args.generated, args.reference, args.pairs)
    identities = identities_of((p.clip for p in pairs), table=args.identities, pattern=args.identity)
    folder = prepare_folder(args.out or Path("runs") / f"eval-{row}")
    jobs = eval_jobs(pairs, identities, row=row, recipe=recipe.key, seed=args.seed)
    suite = {
        "command": "eval",
        "row": row,
        "generated": str(args.generated),
        "reference": str(args.reference) if args.reference else None,
        "metrics": list(selection.specs),
        "seed": args.seed,
        **settings.model_dump(mode="json"),
    }
    return finish(
        args,
        folder=folder,
        jobs=jobs,
        selection=selection,
        settings=settings,
        recipe=recipe,
        suite=suite,
        workforce=workforce,
    )
