"""The leaderboard as the page shows it: groups of columns, sections of rows, and cells that are ready to print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.digits import format_interval, format_value
from thbench.report.grid import ARROWS, CHECK_MARKS, DASH, clean
from thbench.report.names import FAMILIES, OTHER, family, slug
from thbench.report.standing import cost_of, real_value, standings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench.report.leaderboard import Cell, Column, Leaderboard, Row

NO_VALUES = "Without values"
"""Group of columns that hold no value at all; it is folded away at first."""
SHOWN_AT_FIRST = 12
"""Columns that are shown before the reader asks for more groups; a group is never split."""
MOST_WHISKERS = 1500
"""Cells beyond which the drawn intervals are left out, so that a page of thousands of cells stays light."""
TOLD = {
    "higher": "higher is better",
    "lower": "lower is better",
    "closer-to-real": "closer to the ground-truth row is better",
    "none": "no direction is better",
}
"""What the arrows mean, for those who do not see them."""
SECTIONS = {"ground-truth": "Reference", "baseline": "Baselines", "method": "Methods"}
"""Kind of row to the heading above them."""


@dataclass(frozen=True, slots=True)
class Whisker:
    """Value and interval on the scale of the column, in [0, 100]."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class CellView:
    """One cell, ready to print."""

    value: str
    interval: str = ""
    counts: str = ""
    complete: bool = True
    place: int = 0
    rank: str = ""
    """`#1` for the methods that no other is told to be better than."""
    key: str = ""
    """What a table is sorted by; smaller is better where the column has a direction, empty without a value."""
    note: str = ""
    whisker: Whisker | None = None


@dataclass(frozen=True, slots=True)
class ColumnView:
    """One column, ready to print."""

    column: Column
    anchor: str
    family: str
    rest: str
    arrow: str
    told: str
    unit: str
    mark: str
    """† for a metric that failed its own validation, ‡ for one that was not validated."""
    group: int


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that are shown and hidden together."""

    index: int
    title: str
    columns: tuple[ColumnView, ...]
    shown: bool


@dataclass(frozen=True, slots=True)
class RowView:
    """One variant, ready to print."""

    row: Row
    href: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind."""

    kind: str
    title: str
    rows: tuple[RowView, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The whole table."""

    groups: tuple[Group, ...]
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    """Words and numbers that say how large the run is."""

    @property
    def ranked(self) -> bool:
        """Whether any cell has a rank."""
        return any(cell.rank for section in self.sections for row in section.rows for cell in row.cells)

    @property
    def marks(self) -> frozenset[str]:
        """Marks of metrics that occur."""
        return frozenset(column.mark for column in self.columns if column.mark)

    @property
    def columns(self) -> tuple[ColumnView, ...]:
        """All columns in the order of the table."""
        return tuple(column for group in self.groups for column in group.columns)


def board_of(leaderboard: Leaderboard) -> Board:
    """Lay out the leaderboard."""
    groups = grouped(leaderboard)
    columns = [column for group in groups for column in group.columns]
    places = standings(leaderboard)
    draw = len(columns) * len(leaderboard.rows) <= MOST_WHISKERS
    scales = {c.column.id: _scale(leaderboard, c.column) if draw else None for c in columns}
    reals = {c.column.id: real_value(leaderboard, c.column) for c in columns}

    def cell(row: Row, view: ColumnView) -> CellView:
        id_ = view.column.id
        place = places[id_].get(row.variant, 0)
        return cell_view(row.cells.get(id_), view.column, place, scales[id_], reals[id_])

    sections = []
    for kind, title in SECTIONS.items():
        rows = [row for row in leaderboard.rows if row.kind == kind]
        if rows:
            views = [
                RowView(row, f"site/methods/{slug(row.variant)}.html", tuple(cell(row, c) for c in columns))
                for row in rows
            ]
            sections.append(Section(kind, title, tuple(views)))
    return Board(groups, tuple(sections), _facts(leaderboard))


def _facts(leaderboard: Leaderboard) -> tuple[tuple[str, str], ...]:
    cells = [cell for row in leaderboard.rows for cell in row.cells.values()]
    filled = len({id_ for row in leaderboard.rows for id_, cell in row.cells.items() if cell.value is not None})
    kinds = [(title, sum(row.kind == kind for row in leaderboard.rows)) for kind, title in SECTIONS.items()]
    columns = len(leaderboard.columns)
    return (
        *((title, str(count)) for title, count in reversed(kinds) if count and title != SECTIONS["ground-truth"]),
        ("Metrics", str(columns) if filled == columns else f"{filled} of {columns}"),
        ("Videos per row", str(max((cell.total for cell in cells), default=0))),
        ("Identities", str(max((cell.identities for cell in cells), default=0))),
        ("Intervals", f"{leaderboard.level * 100:g} %"),
    )


def grouped(leaderboard: Leaderboard) -> tuple[Group, ...]:
    """Columns by family, in the order of the families; those that hold nothing come last."""
    filled = {id_ for row in leaderboard.rows for id_, cell in row.cells.items() if cell.value is not None}
    by_title: dict[str, list[Column]] = {title: [] for title in (*FAMILIES, OTHER, NO_VALUES)}
    for column in leaderboard.columns:
        by_title[family(column.metric) if column.id in filled else NO_VALUES].append(column)
    groups: list[Group] = []
    shown = 0
    for title, columns in by_title.items():
        if not columns:
            continue
        first = not groups or (title != NO_VALUES and shown + len(columns) <= SHOWN_AT_FIRST)
        shown += len(columns)
        index = len(groups)
        groups.append(Group(index, title, tuple(_column_view(c, index) for c in columns), first))
    return tuple(groups)


def _column_view(column: Column, group: int) -> ColumnView:
    head, slash, rest = column.id.partition("/")
    return ColumnView(
        column=column,
        anchor=f"m-{slug(column.id)}",
        family=head,
        rest=slash + rest,
        arrow=ARROWS[column.direction],
        told=TOLD[column.direction],
        unit="" if column.unit == "1" else column.unit,
        mark=CHECK_MARKS.get(column.check, ""),
        group=group,
    )


def cell_view(
    cell: Cell | None,
    column: Column,
    place: int = 0,
    scale: tuple[float, float] | None = None,
    real: float | None = None,
) -> CellView:
    """One cell, ready to print.

    Args:
        cell: The cell; None where the row was not planned for this column.
        column: Its column.
        place: 1 best, 2 second, 0 neither.
        scale: Ends of the column's scale, to draw the interval; None draws nothing.
        real: Value of the ground truth, for columns where closer to it is better.
    """
    if cell is None:
        return CellView(DASH, note="not part of this row's plan")
    counts = f"{cell.scored}/{cell.total}"
    complete = cell.scored == cell.total
    if cell.value is None:
        return CellView(DASH, counts=counts, complete=complete, note=note_of(cell))
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = format_interval(cell.value, cell.low, cell.high)
    return CellView(
        value=format_value(cell.value, cell.low, cell.high),
        interval=interval,
        counts=counts,
        complete=complete,
        place=place,
        rank="" if cell.rank is None else f"#{cell.rank}",
        key=_key(cost_of(cell.value, column, real)),
        note=note_of(cell),
        whisker=_whisker(cell, scale),
    )


def note_of(cell: Cell) -> str:
    """What a reader of the cell must know beside the number."""
    parts = [f"{reason} ({count})" for reason, count in cell.missing.items()]
    if cell.note:
        parts.append(f"{'no value' if cell.value is None else 'no interval'}: {cell.note}")
    return clean("; ".join([*parts, *cell.remarks]))


def _key(cost: float) -> str:
    return ("Infinity" if cost > 0 else "-Infinity") if math.isinf(cost) else f"{cost:.9g}"


def _scale(leaderboard: Leaderboard, column: Column) -> tuple[float, float] | None:
    """Ends of what the column holds; None where there is no span."""
    found: list[float] = []
    for row in leaderboard.rows:
        if (cell := row.cells.get(column.id)) is not None:
            found += [x for x in (cell.low, cell.value, cell.high) if x is not None and math.isfinite(x)]
    return (min(found), max(found)) if len(found) > 1 and min(found) < max(found) else None


def _whisker(cell: Cell, scale: tuple[float, float] | None) -> Whisker | None:
    ends: Sequence[float | None] = (cell.low, cell.value, cell.high)
    if scale is None or any(end is None or not math.isfinite(end) for end in ends):
        return None
    low, high = scale
    return Whisker(*(100 * (end - low) / (high - low) for end in ends if end is not None))


def reasons_by_column(leaderboard: Leaderboard) -> Mapping[str, Mapping[str, int]]:
    """Column id to why videos have no value there, over all rows."""
    found: dict[str, dict[str, int]] = {}
    for row in leaderboard.rows:
        for id_, cell in row.cells.items():
            for reason, count in cell.missing.items():
                several = found.setdefault(id_, {})
                several[reason] = several.get(reason, 0) + count
    return found
