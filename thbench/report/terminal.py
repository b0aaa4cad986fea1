"""The leaderboard as a table in the terminal, as wide as the terminal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from thbench.report import prose
from thbench.report.cost_grid import cost_notes, kinds_of, lay_out_costs, setting_text
from thbench.report.grid import Entry, Grid, Head, clean, lay_out

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thbench.report.leaderboard import Leaderboard

GAP = 2
"""Blanks between columns."""
LEAST_HEAD = 12
"""The first column is never narrower than this; longer names are folded."""
STYLES = {0: "", 1: "bold", 2: "underline"}
"""Style of a value by its place."""
MOST_FAILURES = 5
"""Failed videos that are shown; the files have them all."""


def render_table(leaderboard: Leaderboard, console_width: int = 80) -> RenderableType:
    """Make the tables of a leaderboard, none wider than `console_width` characters, with their notes.

    Protocols stand in the files; a terminal has no room for them.
    """
    # How wide an entry is does not depend on how the table is laid out.
    entries = [e for grid in lay_out(leaderboard, 1).grids for line in grid.lines for e in line.entries]
    width = max((line.cell_len for entry in entries for line in _entry(entry).split("\n")), default=1)
    names = [clean(name) for name in (*(r.variant for r in leaderboard.rows), *(c.id for c in leaderboard.columns))]
    head = max(LEAST_HEAD, min(max((Text(name).cell_len for name in names), default=1) + 2, console_width // 3))
    fitting = max(1, (console_width - head) // (width + GAP))
    sheet = lay_out(leaderboard, fitting)
    tables: list[RenderableType] = []
    for grid in sheet.grids:
        tables += [_table(grid, head, width), ""]
    return Group(
        *tables,
        *(Text(f"{mark}  {note}", style="dim") for mark, note in sheet.notes.items()),
        *_costs(leaderboard, head, console_width),
        *_legend(leaderboard),
    )


def _costs(leaderboard: Leaderboard, head: int, console_width: int) -> list[RenderableType]:
    """Tables of costs, each with its setting."""
    parts: list[RenderableType] = []
    for table in leaderboard.costs:
        kinds = kinds_of(leaderboard)
        entries = [e for g in lay_out_costs(table, kinds, 99) for line in g.lines for e in line.entries]
        width = max((line.cell_len for entry in entries for line in _entry(entry).split("\n")), default=1)
        names = max((Text(clean(name)).cell_len for name in table.rows), default=1)
        first = max(head, min(names, console_width // 3))
        fitting = max(1, (console_width - first) // (width + GAP))
        parts.append(Text(clean(setting_text(table)), style="dim"))
        for grid in lay_out_costs(table, kinds, fitting):
            parts += [_table(grid, first, width), ""]
        parts += [Text(clean(note), style="dim") for note in cost_notes(table)]
    return parts


def _table(grid: Grid, head: int, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    table.add_column("", max_width=head, overflow="fold")
    for top in grid.heads:
        table.add_column(_head(top), max_width=width, justify="right", overflow="fold")
    for before, line in zip((None, *grid.lines), grid.lines, strict=False):
        if before is not None and before.head.kind != line.head.kind:
            table.add_section()
        table.add_row(_head(line.head), *(_entry(entry) for entry in line.entries))
    return table


def _head(head: Head) -> Text:
    # Text, not markup: names may hold brackets.
    unit = f"({head.unit})" if head.unit else ""
    return Text(clean(" ".join(part for part in (head.name + head.mark, head.arrow, unit) if part)))


def _entry(entry: Entry) -> Text:
    text = Text(entry.value, style=STYLES[entry.place])
    for part in (entry.counts, entry.rank, entry.mark):
        if part:
            text.append(f" {part}", style="not bold not underline dim")
    if entry.interval:
        text.append(f"\n{entry.interval}", style="not bold not underline dim")
    return text


def _legend(leaderboard: Leaderboard) -> list[Text]:
    lines = [prose.interval_sentence(leaderboard)]
    if ranks := prose.rank_sentence(leaderboard):
        lines.append(ranks)
    if checks := prose.check_sentence(leaderboard):
        lines.append(f"{checks}.")
    if arrows := prose.arrow_sentence(leaderboard):
        lines.append(f"{arrows}.")
    found = [Text(line, style="dim") for line in lines]
    found += [Text(f"Warning: {clean(warning)}", style="yellow") for warning in leaderboard.warnings]
    if leaderboard.failures or leaderboard.not_run or leaderboard.status != "success":
        found.append(Text(prose.state_of(leaderboard), style="red"))
    found += [
        Text(clean(f"  {failure.variant} / {failure.clip}: {failure.error}"), style="red")
        for failure in leaderboard.failures[:MOST_FAILURES]
    ]
    if len(leaderboard.failures) > MOST_FAILURES:
        found.append(Text(f"  and {len(leaderboard.failures) - MOST_FAILURES} more", style="red"))
    return found
