"""`thbench paper`: the published tables of a method, with sources, and what a run has beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.cli.writing import write_text
from thbench.errors import ExitCode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from thbench.cli.entry import Subparsers
    from thbench.report.grid import Grid
    from thbench.report.published import Beside, Published
    from thbench.report.recomputed import Recomputed

    Writer = Callable[[Published, Recomputed | None, tuple[Beside, ...]], str]

COLUMNS = 5
"""Columns of a published table beside each other, so that it fits 80 characters."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "paper",
        help="the published tables of a method beside a run",
        description="Prints what the paper of a method publishes: every table with its source, data and reliability, "
        "numbers that were computed anew beside the published ones, and what is not published. With --run, what the "
        "run has of the same name stands beside it, with the reasons why the two cannot be compared.",
    )
    parser.add_argument("method", metavar="METHOD", help="method name; an unknown one lists those that are here")
    parser.add_argument("--run", type=Path, metavar="RUN", dest="run_folder", help="run folder to show beside it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON to FILE (- for standard output)")
    for kind, title in (("markdown", "Markdown"), ("latex", "LaTeX (booktabs)"), ("csv", "CSV")):
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"the same as {title}")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print or write the tables.

    Raises:
        UsageError: No tables of the method are here, or the run has no leaderboard.
    """
    from rich.console import Console

    from thbench.report.paper_tables import to_paper_csv, to_paper_latex, to_paper_markdown
    from thbench.report.published import beside, published
    from thbench.report.reading import read_leaderboard
    from thbench.report.recomputed import recomputed

    found = published(args.method)
    rows: tuple[Beside, ...] = ()
    if args.run_folder is not None:
        board = read_leaderboard(args.run_folder / "leaderboard.json")
        rows = tuple(beside(args.method, board, f"the suite {board.name!r}"))
    counted = recomputed(args.method)
    writers: dict[str, Writer] = {
        "json": _json,
        "markdown": to_paper_markdown,
        "latex": to_paper_latex,
        "csv": to_paper_csv,
    }
    asked = [option for option in writers if getattr(args, option) is not None]
    for option in asked:
        write_text(getattr(args, option), writers[option](found, counted, rows), f"--{option}")
    if asked:
        return int(ExitCode.OK)
    console = Console()
    for part in _parts(found, counted, rows, ran=args.run_folder is not None):
        console.print(part, soft_wrap=False, highlight=False, markup=False)
    return int(ExitCode.OK)


def _json(found: Published, counted: Recomputed | None, rows: tuple[Beside, ...]) -> str:
    content = {
        **found.model_dump(mode="json"),
        "recomputed": None if counted is None else counted.model_dump(mode="json"),
        "beside": [row.model_dump(mode="json") for row in rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _parts(
    found: Published, counted: Recomputed | None, rows: tuple[Beside, ...], *, ran: bool
) -> Iterator[RenderableType]:
    yield f"{found.method}" + (f" (arXiv {found.arxiv})" if found.arxiv else "")
    from thbench.report.paper_tables import lay_out_paper, notes_of

    for table in found.tables:
        yield f"\n{table.id}: {table.title}\n{table.source} [{table.reliability}]\nData: {table.dataset}"
        yield from map(_table, lay_out_paper(table, counted, COLUMNS))
        yield from notes_of(table, counted)
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


def _table(grid: Grid) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    part = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    part.add_column("", max_width=22, overflow="fold")
    for head in grid.heads:
        part.add_column(Text(f"{head.name} {head.arrow}".strip()), justify="right", overflow="fold", max_width=12)
    for line in grid.lines:
        style = "bold" if line.head.kind == "method" else ""
        part.add_row(Text(line.head.name, style=style), *(Text(entry.value, style=style) for entry in line.entries))
    return part
