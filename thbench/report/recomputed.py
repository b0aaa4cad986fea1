"""Numbers of published tables that methods compute anew: the interface between a method and its paper's tables.

A method that can compute a column of its paper again, such as operations counted on our networks, offers the result by
an entry point in the group `thbench.recomputed`: its name is the method's, its object a `Recomputed`, or a callable
without arguments that returns one (and need not load anything heavy: the numbers are computed once and kept).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Literal

from thbench.errors import UsageError
from thbench.report.published import Published, published
from thbench.types import Document

GROUP = "thbench.recomputed"
"""Group of the entry points."""


class RecomputedNumber(Document):
    """One number of a published table, computed anew."""

    table: str
    """Id of the table, e.g. `Table 1`."""
    row: str
    """Row as the published table names it."""
    column: str
    """Column as the published table names it."""
    value: float
    """In the unit of the column."""
    assumption: str = ""
    """What is taken for granted that the paper does not say."""


class Recomputed(Document):
    """All numbers of a paper that were computed anew."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    method: str
    """Name in the registry."""
    what: str
    """What was computed from what, one sentence."""
    command: str
    """What computes it again."""
    numbers: tuple[RecomputedNumber, ...]
    """In the order of the tables."""

    def of(self, table: str, row: str, column: str) -> RecomputedNumber | None:
        """The number of one place; None where there is none."""
        return next((n for n in self.numbers if (n.table, n.row, n.column) == (table, row, column)), None)

    def columns(self, table: str) -> tuple[str, ...]:
        """Columns of a table of which any number was computed."""
        return tuple(dict.fromkeys(n.column for n in self.numbers if n.table == table))

    def assumptions(self, table: str) -> tuple[str, ...]:
        """What is taken for granted in a table, each once, in order."""
        return tuple(dict.fromkeys(n.assumption for n in self.numbers if n.table == table and n.assumption))


def recomputed(method: str) -> Recomputed | None:
    """What a method offers; None if it offers nothing.

    Raises:
        UsageError: It offers something else, or a number whose place no published table has.
    """
    for point in entry_points(group=GROUP):
        if point.name == method:
            found = point.load()
            found = found if isinstance(found, Recomputed) else found()
            if not isinstance(found, Recomputed):
                raise UsageError(f"the entry point {method!r} of {GROUP} gives {type(found).__name__}, not Recomputed")
            _check(found, published(method))
            return found
    return None


def _check(found: Recomputed, paper: Published) -> None:
    places = {(t.id, row.name, c.name) for t in paper.tables for row in t.rows for c in t.columns}
    for number in found.numbers:
        if (number.table, number.row, number.column) not in places:
            raise UsageError(
                f"{found.method} computed {number.table}, {number.row}, {number.column}, which its published tables "
                "lack; name table, row and column as they do"
            )
