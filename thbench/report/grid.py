"""Tables as plain data: what stands where, before any format has its say.

Metrics are columns where they fit, as papers have it; with many metrics and few variants they become rows. What does
not fit beside each other goes into further tables.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from thbench.report.digits import format_interval, format_value
from thbench.report.standing import standings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from thbench.report.leaderboard import Cell, Column, Leaderboard, Row
    from thbench.spec import Direction
    from thbench.validate.document import Mark

DASH = "—"
"""Stands where there is no number."""
ARROWS: Mapping[Direction, str] = {"higher": "↑", "lower": "↓", "closer-to-real": "→", "none": ""}
"""Which way is better; → is towards the ground-truth row."""
TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Invisible characters that turn the direction of the text after them."""

CHECK_MARKS: Mapping[Mark | None, str] = {"fails": "†", "not validated": "‡"}
"""Stands at the name of a metric that did not do, or was never asked, what is expected of it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of a column or the start of a line; the text is as it came, not yet escaped."""

    name: str
    """Variant or column id."""
    arrow: str = ""
    """Which way is better."""
    unit: str = ""
    """Unit; empty for a pure number."""
    kind: str = ""
    """Kind of a variant; empty for a metric."""
    mark: str = ""
    """What is to be known of the metric itself; see `CHECK_MARKS`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is printed in one place."""

    value: str
    """The number, or a dash."""
    interval: str = ""
    """`[low, high]`, or nothing."""
    counts: str = ""
    """`scored/total`."""
    rank: str = ""
    """`#1` for the methods that no other is told to be better than; empty for what does not compete."""
    place: int = 0
    """1 best, 2 second, 0 neither."""
    mark: str = ""
    """Letter of the note that belongs to it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table."""

    head: Head
    """Its start."""
    entries: tuple[Entry, ...]
    """One for each head of the table."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One table."""

    heads: tuple[Head, ...]
    """The top, without the corner."""
    lines: tuple[Line, ...]
    """The rest."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """All tables of a leaderboard with the notes that they refer to."""

    grids: tuple[Grid, ...]
    """The tables."""
    notes: Mapping[str, str]
    """Letter to text."""

    @property
    def grouped(self) -> bool:
        """Whether any entry has a rank."""
        return any(entry.rank for grid in self.grids for line in grid.lines for entry in line.entries)

    @property
    def ranked(self) -> bool:
        """Whether any entry is best or second."""
        return any(entry.place for grid in self.grids for line in grid.lines for entry in line.entries)


def lay_out(leaderboard: Leaderboard, most_columns: int) -> Sheet:
    """Lay a leaderboard out in as few tables as `most_columns` allow; with equally few, variants are the rows.

    Args:
        leaderboard: What to print.
        most_columns: How many columns fit beside each other, without the first.
    """
    marks = _marks(leaderboard)
    places = standings(leaderboard)
    rows, columns = leaderboard.rows, leaderboard.columns

    def entry(row: Row, column: Column) -> Entry:
        cell = row.cells.get(column.id)
        return _entry(cell, places[column.id].get(row.variant, 0), marks.get(_note(cell), ""))

    if _parts(len(columns), most_columns) <= _parts(len(rows), most_columns):
        grids = [
            Grid(
                tuple(map(_metric_head, part)),
                tuple(Line(_row_head(r), tuple(entry(r, c) for c in part)) for r in rows),
            )
            for part in split(columns, most_columns)
        ]
    else:
        grids = [
            Grid(
                tuple(map(_row_head, part)),
                tuple(Line(_metric_head(c), tuple(entry(r, c) for r in part)) for c in columns),
            )
            for part in split(rows, most_columns)
        ]
    return Sheet(tuple(grids), {mark: note for note, mark in marks.items()})


def clean(text: str) -> str:
    r"""Text on one line without control characters and without characters that turn the direction of what follows.

    Example:
        >>> clean("a\tb\x1b[31m")
        'a b�[31m'
    """
    return "".join(_clean_character(c) for c in text)


def _clean_character(c: str) -> str:
    if c in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    return "\ufffd" if unicodedata.category(c) in {"Cc", "Cs"} or c in TURNS else c


def _entry(cell: Cell | None, place: int, mark: str) -> Entry:
    if cell is None:
        return Entry(DASH, mark=mark)
    counts = f"{cell.scored}/{cell.total}"
    if cell.value is None:
        return Entry(DASH, counts=counts, mark=mark)
    value = format_value(cell.value, cell.low, cell.high)
    interval = "" if cell.low is None or cell.high is None else format_interval(cell.value, cell.low, cell.high)
    rank = "" if cell.rank is None else f"#{cell.rank}"
    return Entry(value, interval, counts, rank, place, mark)


def _note(cell: Cell | None) -> str:
    """Why a cell is not a number with an interval over all of its clips; empty if it is."""
    if cell is None:
        return "not part of this row's plan"
    reasons = "; ".join(f"{reason} ({count})" for reason, count in cell.missing.items())
    parts = []
    if reasons:
        parts.append(f"{'left out' if cell.scored else 'no value'}: {reasons}")
    if cell.note:
        parts.append(f"{'no interval' if cell.value is not None else 'no value'}: {cell.note}")
    return clean("; ".join([*parts, *cell.remarks]))


def _marks(leaderboard: Leaderboard) -> dict[str, str]:
    """Letters for notes, in the order in which a reader meets them; equal notes share one."""
    notes = dict.fromkeys(_note(row.cells.get(column.id)) for row in leaderboard.rows for column in leaderboard.columns)
    notes.pop("", None)
    return dict(zip(notes, _letters(), strict=False))


def _letters() -> Iterator[str]:
    """The letters a to z, then aa, ab and so on."""
    return itertools.chain.from_iterable(
        map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=length)) for length in itertools.count(1)
    )


def _metric_head(column: Column) -> Head:
    unit = "" if column.unit == "1" else column.unit
    return Head(column.id, ARROWS[column.direction], unit, mark=CHECK_MARKS.get(column.check, ""))


def _row_head(row: Row) -> Head:
    return Head(row.variant, kind=row.kind)


def _parts(count: int, most: int) -> int:
    return math.ceil(count / most)


def split(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Runs of `items`, none longer than `most`, as few and as equal as possible."""
    parts = _parts(len(items), most)
    return [items[len(items) * i // parts : len(items) * (i + 1) // parts] for i in range(parts)]
