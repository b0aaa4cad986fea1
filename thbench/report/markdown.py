"""The leaderboard as Markdown, as GitHub renders it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report import prose
from thbench.report.cost_grid import cost_notes, kinds_of, lay_out_costs, setting_text
from thbench.report.grid import Entry, Grid, Head, clean, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thbench.report.leaderboard import Leaderboard

MOST_COLUMNS = 6
"""Columns that fit a page beside each other, without the first."""
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"}
"""Characters that no Markdown dialect leaves alone; in a table not even after a backslash."""


def to_markdown(leaderboard: Leaderboard) -> str:
    """Write the leaderboard with its notes, protocols, warnings and failed videos."""
    sheet = lay_out(leaderboard, MOST_COLUMNS)
    common = prose.common_context(leaderboard)
    legend = [prose.interval_sentence(leaderboard)]
    if sheet.ranked:
        legend.append("**Best** and <u>second best</u> of the methods.")
    if sheet.grouped:
        legend.append(escape(prose.rank_sentence(leaderboard)))
    if checks := prose.check_sentence(leaderboard):
        legend.append(f"{checks}.")
    if arrows := prose.arrow_sentence(leaderboard):
        legend.append(f"{arrows}.")
    blocks = [
        f"# {escape(leaderboard.name)}",
        escape(prose.state_of(leaderboard)),
        *(table_text(grid) for grid in sheet.grids),
        " ".join(legend),
        "  \n".join(f"<sup>{mark}</sup> {escape(note)}" for mark, note in sheet.notes.items()),
        *_costs(leaderboard),
        "## Protocols",
        f"All columns: {escape(common)}" if common is not None else "",
        _bullets(f"**{escape(c.id)}**: {escape(prose.protocol_of(c, common))}" for c in leaderboard.columns),
    ]
    if leaderboard.warnings:
        blocks += ["## Warnings", _bullets(escape(warning) for warning in leaderboard.warnings)]
    if leaderboard.failures:
        blocks += ["## Failed videos", _failures(leaderboard)]
    blocks.append(escape(prose.effort_of(leaderboard)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _costs(leaderboard: Leaderboard) -> Iterable[str]:
    if leaderboard.costs:
        yield f"## Speed and memory\n\n{prose.cost_sentence(leaderboard)}"
    for table in leaderboard.costs:
        yield escape(setting_text(table))
        yield from map(table_text, lay_out_costs(table, kinds_of(leaderboard), MOST_COLUMNS))
        if notes := cost_notes(table):
            yield _bullets(map(escape, notes))


def escape(text: str) -> str:
    r"""Make `text` appear as it is, on one line, in a table too.

    Example:
        >>> escape("a|b_c *<d>")
        'a&#124;b\\_c \\*&lt;d&gt;'
    """
    return "".join(ENTITIES.get(c) or (f"\\{c}" if c in "`*_{}[]#~$" else c) for c in clean(text))


def table_text(grid: Grid) -> str:
    """One table."""
    lines = [
        "| |" + "".join(f" {_head(head)} |" for head in grid.heads),
        "|:--|" + ":-:|" * len(grid.heads),
        *(f"| {_head(line.head)} |" + "".join(f" {_entry(entry)} |" for entry in line.entries) for line in grid.lines),
    ]
    return "\n".join(lines)


def _head(head: Head) -> str:
    unit = f"({escape(head.unit)})" if head.unit else ""
    name = f"*{escape(head.name)}*" if head.kind in {"ground-truth", "baseline"} else escape(head.name)
    return " ".join(part for part in (name + head.mark, head.arrow, unit) if part)


def _entry(entry: Entry) -> str:
    value = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}[entry.place].format(entry.value)
    mark = f" <sup>{entry.mark}</sup>" if entry.mark else ""
    below = " ".join(part for part in (escape(entry.interval), entry.counts, escape(entry.rank)) if part)
    return f"{value}{mark}<br><sub>{below}</sub>" if below else f"{value}{mark}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _failures(leaderboard: Leaderboard) -> str:
    lines = ["| variant | clip | seed | why |", "|:--|:--|--:|:--|"]
    lines += [
        f"| {escape(f.variant)} | {escape(f.clip)} | {f.seed} | {escape(f.error)} |" for f in leaderboard.failures
    ]
    return "\n".join(lines)
