"""Published tables as plain tables, with what was computed anew beside them, in every format.

A number that was computed anew stands in a column of its own right of the published one, with the difference from it;
numbers of a run stand in a table of their own below, with the reasons why the two cannot be compared.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from thbench.report.digits import format_value
from thbench.report.grid import DASH, Entry, Grid, Head, Line, split
from thbench.report.latex import escape as latex_escape
from thbench.report.latex import tabular, with_preamble
from thbench.report.markdown import escape, table_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from thbench.report.published import Beside, Published, PublishedRow, PublishedTable
    from thbench.report.recomputed import Recomputed

ARROWS = {"lower": "↓", "higher": "↑", "closer-to-real": "→", "closer-to-zero": "→0", None: ""}
OURS, CHANGE = "ours", "ours − paper"
"""Headings of what was computed anew."""
FIELDS = (
    "method", "table", "row", "role", "column", "metric", "direction", "unit", "dataset", "published", "recomputed",
    "assumption", "protocol", "source", "reliability",
)  # fmt: skip
"""Columns of the CSV of published tables."""
BESIDE_FIELDS = (
    "method", "table", "row", "column", "published", "variant", "metric", "reproduced", "difference", "not comparable",
)  # fmt: skip


def lay_out_paper(table: PublishedTable, counted: Recomputed | None, most_columns: int) -> tuple[Grid, ...]:
    """A published table in as few parts as `most_columns` allow; the method's own rows are of kind `method`.

    Args:
        table: As published.
        counted: What was computed anew.
        most_columns: How many columns fit beside each other, without the first.
    """
    places = list(_places(table, counted))
    return tuple(
        Grid(
            tuple(head for head, _, _ in part),
            tuple(
                Line(
                    Head(row.name, kind="method" if row.is_this_method else "other"),
                    tuple(_entry(table, row, number, kind, counted) for _, number, kind in part),
                )
                for row in table.rows
            ),
        )
        for part in split(places, most_columns)
    )


def _places(table: PublishedTable, counted: Recomputed | None) -> Iterator[tuple[Head, int, str]]:
    """Heading, number of the published column, and whether it is the paper's number, ours, or the difference."""
    again = counted.columns(table.id) if counted is not None else ()
    for number, column in enumerate(table.columns):
        arrow = ARROWS[column.direction]
        yield Head(column.name, arrow, column.unit or ""), number, "paper"
        if column.name in again:
            yield Head(f"{column.name}, {OURS}", arrow, column.unit or ""), number, "ours"
            yield Head(f"{column.name}, {CHANGE}"), number, "change"


def _entry(table: PublishedTable, row: PublishedRow, number: int, kind: str, counted: Recomputed | None) -> Entry:
    printed = row.values[number]
    if kind == "paper":
        return Entry(_printed(printed))
    found = counted.of(table.id, row.name, table.columns[number].name) if counted is not None else None
    if found is None:
        return Entry(DASH)
    if kind == "ours":
        return Entry(format_value(found.value))
    if printed is None or isinstance(printed, bool):
        return Entry(DASH)
    return Entry(f"{found.value / float(printed) - 1:+.2%}" if float(printed) else f"{found.value:+.3g}")


def _printed(value: str | bool | None) -> str:
    if value is None:
        return DASH
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def to_paper_markdown(paper: Published, counted: Recomputed | None, beside: Sequence[Beside], *, most: int = 8) -> str:
    """The tables of a paper as Markdown."""
    blocks = [f"# {escape(_title(paper))}"]
    for table in paper.tables:
        blocks.append(f"## {escape(f'{table.id}: {table.title}')}")
        blocks.append(f"{escape(table.source)} ({escape(table.reliability)}). Data: {escape(table.dataset)}.")
        blocks += [table_text(grid) for grid in lay_out_paper(table, counted, most)]
        blocks += [escape(note) for note in notes_of(table, counted)]
    if paper.not_published:
        lines = [
            f"- {escape(one.what)}: **{one.status}**{f' ({escape(one.note)})' if one.note else ''}"
            for one in paper.not_published
        ]
        blocks.append("## Not there\n\n" + "\n".join(lines))
    if beside:
        lines = [
            f"| {escape(f'{b.table}, {b.row}, {b.column}')} | {b.published} | {escape(f'{b.variant}, {b.metric}')} | "
            f"{format_value(b.reproduced)} | {format_value(b.difference)} | {escape('; '.join(b.apart))} |"
            for b in beside
        ]
        head = "| published | value | this run | value | difference | why they cannot be compared |"
        blocks.append("\n".join(["## Published beside this run", "", head, "|:--|--:|:--|--:|--:|:--|", *lines]))
    return "\n\n".join(blocks) + "\n"


def to_paper_latex(paper: Published, counted: Recomputed | None, beside: Sequence[Beside], *, most: int = 8) -> str:
    """The tables of a paper as `table*` environments; needs the package booktabs."""
    parts: list[str] = []
    for table in paper.tables:
        for number, grid in enumerate(lay_out_paper(table, counted, most), start=1):
            caption = f"{table.id} of {paper.method}{', continued' if number > 1 else ''}. {table.title}."
            said = (table.source, *notes_of(table, counted)) if number == 1 else ()
            told = " ".join(latex_escape(f"{text.removesuffix('.')}.") for text in said)
            parts.append(_environment(tabular(grid), f"{latex_escape(caption)} {told}".strip()))
    if beside:
        heads = tuple(map(Head, ("published", "this run", "difference")))
        lines = tuple(
            Line(
                Head(f"{b.table}, {b.row}, {b.column}; {b.variant}, {b.metric}"),
                (Entry(b.published), Entry(format_value(b.reproduced)), Entry(format_value(b.difference))),
            )
            for b in beside
        )
        reasons = "; ".join(dict.fromkeys(reason for b in beside for reason in b.apart))
        caption = latex_escape(f"{paper.method}: published beside reproduced. They cannot be compared: {reasons}.")
        parts.append(_environment(tabular(Grid(heads, lines)), caption))
    return with_preamble("\n\n".join(parts) + "\n")


def _environment(content: str, caption: str) -> str:
    return "\n".join(
        [r"\begin{table*}[t]", r"\centering", rf"\caption{{{caption}}}", r"\scriptsize", content, r"\end{table*}"]
    )


def to_paper_csv(paper: Published, counted: Recomputed | None, beside: Sequence[Beside]) -> str:
    """Every published number in a line of its own; below, after an empty line, what a run has beside them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for table in paper.tables:
        for row in table.rows:
            writer.writerows(_csv_lines(paper, table, row, counted))
    if beside:
        text.write("\n")
        writer = csv.DictWriter(text, BESIDE_FIELDS, lineterminator="\n")
        writer.writeheader()
        for b in beside:
            line = b.model_dump(exclude={"apart"}) | {"method": paper.method, "not comparable": "; ".join(b.apart)}
            writer.writerow(line)
    return text.getvalue()


def _csv_lines(
    paper: Published, table: PublishedTable, row: PublishedRow, counted: Recomputed | None
) -> Iterable[dict[str, object]]:
    for column, value in zip(table.columns, row.values, strict=True):
        found = counted.of(table.id, row.name, column.name) if counted is not None else None
        yield {
            "method": paper.method,
            "table": table.id,
            "row": row.name,
            "role": row.role,
            "column": column.name,
            "metric": column.metric,
            "direction": column.direction,
            "unit": column.unit,
            "dataset": column.dataset or table.dataset,
            "published": value,
            "recomputed": None if found is None else found.value,
            "assumption": None if found is None else found.assumption,
            "protocol": column.protocol,
            "source": table.source,
            "reliability": table.reliability,
        }


def notes_of(table: PublishedTable, counted: Recomputed | None) -> Sequence[str]:
    """What stands below a table: its notes, and how numbers were computed anew and what that takes for granted."""
    notes = [f"Note: {table.notes}"] if table.notes else []
    if counted is not None and counted.columns(table.id):
        names = ", ".join(counted.columns(table.id))
        notes.append(f"{names}, {OURS}: {counted.what} ({counted.command}).")
        notes += [f"Taken for granted: {text}." for text in counted.assumptions(table.id)]
    return notes


def _title(paper: Published) -> str:
    return f"{paper.method}" + (f" (arXiv {paper.arxiv})" if paper.arxiv else "")
