"""`thbench weights`: list, get, verify and locate weight files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.errors import ExitCode, MissingWeightsError, UsageError, WeightsMismatchError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from thbench.cli import Subparsers

Row = dict[str, Any]


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "weights",
        help="list, get, verify and locate weight files",
        description="Weight files of frozen networks. THBENCH_WEIGHTS names their folder.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "every known file, and whether it is here", _list)
    get = _action(actions, "get", "download files, or take one from this machine, and verify", _get)
    get.add_argument("names", nargs="+", metavar="NAME", help="names as in `thbench weights list`")
    get.add_argument("--from", dest="source", type=Path, metavar="FILE", help="a copy on this machine; no network")
    verify = _action(actions, "verify", "hash files again; exit 1 if one is wrong", _verify)
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")
    _action(actions, "where", "the folder of the weight files", _where)
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
    from thbench.backbones.weights import WEIGHTS, find, weights_folder

    folder = weights_folder()
    rows: list[Row] = [
        {
            "name": spec.name,
            "state": "present" if find(spec.name) else "wrong size" if (folder / spec.file).exists() else "absent",
            "file": spec.file,
            "bytes": spec.bytes,
            "sha256": spec.sha256,
            "licence": spec.licence,
            "used_for": spec.used_for,
            "source": spec.source,
            "download": spec.url is not None,
        }
        for spec in WEIGHTS.values()
    ]
    if args.json:
        return _write_json(rows, ExitCode.OK)
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        about = f"{row['file']}, {row['bytes'] / 1e6:.1f} MB, {row['licence']}; {row['used_for']}"
        sys.stdout.write(f"{row['name']:<{width}}  {row['state']:<10}  {about}\n")
    sys.stdout.write(f"folder: {folder}\n")
    return ExitCode.OK


def _get(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import fetch, spec_of

    if args.source is not None and len(args.names) != 1:
        raise UsageError(f"--from gives one file, but {len(args.names)} names were given; name one")
    for name in args.names:
        spec_of(name)  # a typo in the last name is told before the first download
    rows = []
    for name in args.names:
        with _progress(name) as on_bytes:
            path = fetch(name, source=args.source, on_bytes=on_bytes)
        rows.append({"name": name, "path": str(path)})
    if args.json:
        return _write_json(rows, ExitCode.OK)
    for row in rows:
        sys.stdout.write(f"{row['name']}: {row['path']}\n")
    return ExitCode.OK


def _verify(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import WEIGHTS, spec_of

    for name in args.names:
        spec_of(name)
    rows = [_verified(name) for name in args.names or WEIGHTS]
    # Without names, a file that nobody fetched is no failure.
    bad = {"wrong", "absent"} if args.names else {"wrong"}
    code = ExitCode.FAILED if any(row["state"] in bad for row in rows) else ExitCode.OK
    if args.json:
        return _write_json(rows, code)
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        sys.stdout.write(f"{row['name']:<{width}}  {row['state']:<6}  {row['detail']}\n")
    return code


def _verified(name: str) -> Row:
    from thbench.backbones.weights import verify

    try:
        return {"name": name, "state": "right", "detail": str(verify(name))}
    except MissingWeightsError as error:
        return {"name": name, "state": "absent", "detail": str(error)}
    except WeightsMismatchError as error:
        return {"name": name, "state": "wrong", "detail": str(error)}


def _where(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import weights_folder

    folder = weights_folder()
    if args.json:
        return _write_json({"folder": str(folder), "exists": folder.is_dir()}, ExitCode.OK)
    sys.stdout.write(f"{folder}\n")
    return ExitCode.OK


def _write_json(value: Row | Sequence[Row], code: ExitCode) -> int:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return code


def _progress(name: str) -> AbstractContextManager[Callable[[int, int], None] | None]:
    """A progress bar on stderr for people; nothing where stderr is a file or a pipe."""
    from contextlib import contextmanager, nullcontext

    if not sys.stderr.isatty():
        return nullcontext()

    @contextmanager
    def bar() -> Iterator[Callable[[int, int], None]]:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        with Progress(
            name, BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        ) as shown:
            task = shown.add_task(name, total=None)
            yield lambda done, total: shown.update(task, completed=done, total=total)

    return bar()
