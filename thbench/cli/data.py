"""`thbench data`: make, list and check datasets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from thbench.cli.entry import Subparsers

MADE = ("synth-heads",)
"""Datasets that are made here; the files of all others are the user's."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser("data", help="build, list and check datasets")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "every known dataset, and the splits of synth-heads that are here", _list)
    make = _action(actions, "make", "make a split, or what is missing of it", _make)
    make.add_argument("name", choices=MADE, help="which dataset")
    make.add_argument("--split", choices=("train", "validation", "test"), default="train", help="default: train")
    make.add_argument("--clips", type=int, metavar="N", help="only the first N clips")
    make.add_argument("--out", type=Path, metavar="DIR", help="default: a folder of the cache, or THBENCH_DATA")
    make.add_argument(
        "--size", type=int, default=128, metavar="PIXELS", help="side of the image, 64 to 512; default 128"
    )
    make.add_argument("--seconds", type=float, default=4.0, help="length of each clip; default 4")
    make.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; default: all cores"
    )
    check = _action(actions, "check", "hash every file of a split; exit 1 if one is wrong", _check)
    check.add_argument("name", choices=MADE, nargs="?", default=MADE[0], help="which dataset")
    check.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of a split; default: the test split of the package"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the action that was typed."""
    action: Callable[[argparse.Namespace], int] = args.action
    return action(args)


def _action(
    actions: Subparsers, name: str, text: str, action: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(action=action)
    return parser


def _list(args: argparse.Namespace) -> int:
    from thbench.registry import DATASETS

    rows: list[dict[str, Any]] = [
        {"name": s.name, "title": s.title, "licence": s.licence, "source": s.source} for s in DATASETS.values()
    ]
    splits = _splits()
    if args.json:
        sys.stdout.write(json.dumps({"datasets": rows, "splits": splits}, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.OK
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        sys.stdout.write(f"{row['name']:<{width}}  {row['title']}; {row['licence']}\n")
    for split in splits:
        sys.stdout.write(
            f"synth-heads {split['split']}: {split['clips']} clips of {split['identities']} people, {split['size']} px,"
            f" {split['bytes'] / 1e6:.1f} MB, in {split['folder']}\n"
        )
    return ExitCode.OK


def _splits() -> list[dict[str, Any]]:
    """Splits of synth-heads on this machine: that of the package and those in the cache."""
    from thbench.data.synth_heads.cache import data_folder
    from thbench.data.synth_heads.dataset import embedded_folder
    from thbench.data.synth_heads.manifest import read_manifest

    made = data_folder()
    folders = [
        embedded_folder(must_exist=False),
        *(sorted(p for p in made.iterdir() if p.is_dir()) if made.is_dir() else []),
    ]
    rows = []
    for folder in folders:
        manifest = read_manifest(folder, missing_ok=True)
        if manifest is None:
            continue
        rows.append(
            {
                "split": manifest.split,
                "clips": len(manifest.clips),
                "identities": len({c.identity for c in manifest.clips}),
                "size": manifest.size,
                "seconds": manifest.seconds,
                "version": manifest.version,
                "bytes": sum(c.video.bytes + c.truth.bytes for c in manifest.clips),
                "folder": str(folder),
            }
        )
    return rows


def _make(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from thbench.data.synth_heads.cache import split_folder
    from thbench.data.synth_heads.make import make_split

    _check_numbers(args)
    folder = args.out or split_folder(args.split, args.size, args.seconds)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("clips", total=None)
        manifest = make_split(
            args.split,
            folder,
            clips=args.clips,
            size=args.size,
            seconds=args.seconds,
            workers=args.workers,
            on_clip=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if args.json:
        sys.stdout.write(json.dumps({"folder": str(folder), "clips": len(manifest.clips)}) + "\n")
    else:
        sys.stdout.write(f"{len(manifest.clips)} clips in {folder}\n")
    return ExitCode.OK


def _check_numbers(args: argparse.Namespace) -> None:
    if args.clips is not None and args.clips < 1:
        raise UsageError(f"--clips {args.clips}: give a number from 1")
    if not 2.0 <= args.seconds <= 60.0:
        raise UsageError(f"--seconds {args.seconds:g}: give a length from 2 to 60")
    if args.workers < 1:
        raise UsageError(f"--workers {args.workers}: give a number from 1")


def _check(args: argparse.Namespace) -> int:
    from thbench.data.synth_heads.dataset import embedded_folder
    from thbench.data.synth_heads.manifest import check

    folder = args.data or embedded_folder()
    manifest, faults = check(folder)
    if args.json:
        sys.stdout.write(json.dumps({"folder": str(folder), "clips": len(manifest.clips), "faults": faults}) + "\n")
    else:
        sys.stdout.writelines(f"{fault}\n" for fault in faults)
        sys.stdout.write(
            f"{folder}: {len(manifest.clips)} clips, {'as listed' if not faults else f'{len(faults)} faults'}\n"
        )
    return ExitCode.FAILED if faults else ExitCode.OK
