"""`thbench train`: train a method's preset on synth-heads."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.cli.writing import write_text
from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from thbench.cli.entry import Subparsers
    from thbench.training.order import Order

SIZE, SECONDS = 128, 4.0
"""Of the clips of the train split."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "train",
        help="train a method's preset",
        description="Trains a preset on the train split of synth-heads (`thbench data make synth-heads`) and writes "
        "weights and training cards. An interrupted training goes on where its last checkpoint is.",
    )
    parser.add_argument("method", metavar="METHOD", help="name of a method (see `thbench list methods`)")
    parser.add_argument("--preset", default="mini", metavar="P", help="which preset (default: mini)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the train split (default: the made one)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="folder of checkpoints (default: a folder of the cache)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for weights and cards (default: those that are shipped)"
    )
    parser.add_argument("--clips", type=int, metavar="N", help="only the first N clips")
    parser.add_argument("--share", type=float, default=1.0, help="share of the steps, for a trial (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was trained from what to FILE (- for standard output)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train."""
    import logging

    from thbench.registry import METHODS
    from thbench.spec import load

    spec = METHODS[args.method]
    if args.preset not in spec.trainers:
        known = ", ".join(spec.trainers) or "none"
        raise UsageError(f"{spec.name} has no training of a preset {args.preset!r}; it trains: {known}")
    trainer: Callable[[Order], None] = load(spec.trainers[args.preset], purpose=f"training of {spec.name!r}")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    order = _order(args)
    trainer(order)
    if args.json is not None:
        write_text(args.json, json.dumps(asdict(order), indent=2, default=str) + "\n", "--json")
    return ExitCode.OK


def _order(args: argparse.Namespace) -> Order:
    from thbench.data.synth_heads.cache import data_folder, split_folder
    from thbench.training.order import Order

    if not 0 < args.share <= 1:
        raise UsageError(f"--share is {args.share:g}; it must be above 0 and at most 1")
    if args.threads < 1 or (args.clips is not None and args.clips < 1):
        raise UsageError("--threads and --clips must be 1 or more")
    if args.share < 1 and args.out is None:
        raise UsageError("a training of fewer steps is not shipped; name a folder with --out")
    typed = f"thbench train {args.method} --preset {args.preset}" + (f" --clips {args.clips}" if args.clips else "")
    return Order(
        method=args.method,
        preset=args.preset,
        command=typed,
        data=args.data or split_folder("train", SIZE, SECONDS),
        work=args.work or data_folder().parent / "training" / args.method,
        out=args.out,
        clips=args.clips,
        share=args.share,
        threads=args.threads,
    )
