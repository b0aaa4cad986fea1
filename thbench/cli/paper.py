"""`thbench paper`: the published tables of a method, with sources, and what a run has beside them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.console import RenderableType

    from thbench.cli.entry import Subparsers
    from thbench.report.published import Beside, Published, PublishedTable


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "paper",
        help="the published tables of a method beside a run",
        description="Prints what the paper of a method publishes: every table with its source, data and reliability, "
        "and what is not published. With --run, what the run has of the same name stands beside it, with the reasons "
        "why the two cannot be compared.",
    )
    parser.add_argument("method", metavar="METHOD", help="method name; an unknown one lists those that are here")
    parser.add_argument("--run", type=Path, metavar="RUN", dest="run_folder", help="run folder to show beside it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON to FILE (- for standard output)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print or write the tables.

    Raises:
        UsageError: No tables of the method are here, or the run has no leaderboard.
    """
    from rich.console import Console

    from thbench.report.published import beside, published
    from thbench.report.reading import read_leaderboard

    found = published(args.method)
    rows: tuple[Beside, ...] = ()
    if args.run_folder is not None:
        board = read_leaderboard(args.run_folder / "leaderboard.json")
        rows = tuple(beside(args.method, board, f"the suite {board.name!r}"))
    if args.json is not None:
        content = {**found.model_dump(mode="json"), "beside": [row.model_dump(mode="json") for row in rows]}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        if str(args.json) == "-":
            sys.stdout.write(text)
        else:
            args.json.write_text(text, encoding="utf-8")
        return int(ExitCode.OK)
    console = Console()
    for part in _parts(found, rows, ran=args.run_folder is not None):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False, markup=False)
    return int(ExitCode.OK)


def _parts(found: Published, rows: tuple[Beside, ...], *, ran: bool) -> Iterator[RenderableType]:
    yield f"{found.method}" + (f" (arXiv {found.arxiv})" if found.arxiv else "")
    for table in found.tables:
        yield f"\n{table.id}: {table.title}\n{table.source} [{table.reliability}]\nData: {table.dataset}"
        yield from _tables(table)
        if table.notes:
            yield f"Note: {table.notes}"
    if found.not_published:
        yield "\nNot there:"
        for one in found.not_published:
            yield f"- {one.what}: {one.status}" + (f" ({one.note})" if one.note else "")
    if ran and not rows:
        yield "\nThe run has no number of a name that the paper publishes for this method."
    for row in rows:
        yield (
            f"\n{row.table}, {row.row}, {row.column}: published {row.published}; {row.variant} {row.metric}: "
            f"{row.reproduced:.4g}, difference {row.difference:+.4g}"
        )
        yield from (f"  not comparable: {reason}" for reason in row.apart)


def _tables(table: PublishedTable, most: int = 6) -> Iterator[RenderableType]:
    """The table in parts that fit 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    arrows = {"lower": " ↓", "higher": " ↑", "closer-to-real": " →", "closer-to-zero": " →0", None: ""}
    for start in range(0, len(table.columns), most):
        columns = table.columns[start : start + most]
        part = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        part.add_column("", max_width=22, overflow="fold")
        for column in columns:
            part.add_column(Text(column.name + arrows[column.direction]), justify="right", overflow="fold")
        for row in table.rows:
            style = "bold" if row.is_this_method else ""
            cells = ["—" if v is None else str(v) for v in row.values[start : start + most]]
            part.add_row(Text(row.name, style=style), *(Text(cell, style=style) for cell in cells))
        yield part
