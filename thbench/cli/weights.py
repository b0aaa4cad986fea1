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

    from thbench.cli.entry import Subparsers

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
    add = _action(actions, "add", "take a file of your own; every number that comes of it says so", _add)
    add.add_argument("name", metavar="NAME", help="name as in `thbench weights list`")
    add.add_argument("file", type=Path, metavar="FILE", help="the file; it is copied")
    remove = _action(actions, "remove", "take away files of your own; the published ones count again", _remove)
    remove.add_argument("names", nargs="+", metavar="NAME", help="names as in `thbench weights list`")
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
    from thbench.backbones.weights import known_names, weights_folder

    rows = [_row(name) for name in known_names()]
    if args.json:
        return _write_json(rows, ExitCode.OK)
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f} MB, " if row["bytes"] else ""
        digest = f"SHA-256 {row['sha256'][:12]}..., " if row["sha256"] else ""
        about = f"{row['file']}, {size}{digest}{row['licence']}; {row['used_for']}"
        sys.stdout.write(f"{row['name']:<{width}}  {row['state']:<10}  {about}\n")
    sys.stdout.write(f"folder: {weights_folder()}\n")
    return ExitCode.OK


def _row(name: str) -> Row:
    """What is known of one file, and whether it is here."""
    from thbench.backbones.weights import about, command_for, find, user_spec, weights_folder
    from thbench.spec import WeightSpec

    published, own = about(name), user_spec(name)
    counts = own or (published if isinstance(published, WeightSpec) else None)
    present = "absent"
    if counts is not None and (weights_folder() / counts.file).exists():
        present = ("yours" if own else "present") if find(name) else "wrong size"
    return {
        "name": name,
        "state": present,
        "file": counts.file if counts else published.file,
        "bytes": counts.bytes if counts else None,
        "sha256": counts.sha256 if counts else None,
        "user_supplied": own is not None,
        "licence": published.licence,
        "used_for": published.used_for,
        "source": published.source,
        "download": isinstance(published, WeightSpec) and published.url is not None,
        "command": command_for(name),
    }


def _get(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import about, fetch

    if args.source is not None and len(args.names) != 1:
        raise UsageError(f"--from gives one file, but {len(args.names)} names were given; name one")
    for name in args.names:
        about(name)  # a typo in the last name is told before the first download
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


def _add(args: argparse.Namespace) -> int:
    from thbench.backbones import own_files
    from thbench.backbones.weights import add, weights_folder

    spec = add(args.name, args.file)
    path, own = weights_folder() / spec.file, spec.licence == own_files.TERMS
    if args.json:
        row = {"name": args.name, "path": str(path), "sha256": spec.sha256, "user_supplied": own}
        return _write_json(row, ExitCode.OK)
    what = "yours; numbers that come of it carry its digest" if own else "the published file"
    sys.stdout.write(f"{args.name}: {path} (SHA-256 {spec.sha256}; {what})\n")
    return ExitCode.OK


def _remove(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import about, remove

    for name in args.names:
        about(name)
    rows = [{"name": name, "removed": remove(name)} for name in args.names]
    if args.json:
        return _write_json(rows, ExitCode.OK)
    for row in rows:
        sys.stdout.write(f"{row['name']}: {'removed' if row['removed'] else 'there was no file of yours'}\n")
    return ExitCode.OK


def _verify(args: argparse.Namespace) -> int:
    from thbench.backbones.weights import about, known_names

    for name in args.names:
        about(name)
    rows = [_verified(name) for name in args.names or known_names()]
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
