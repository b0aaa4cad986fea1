"""Which methods of a table are told apart, and the ranks that follow."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.contrast import Contrast, contrast
from thbench.stats.bootstrap import LEVEL
from thbench.stats.power import detectable
from thbench.stats.ranks import rank_groups
from thbench.stats.significance import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench.report.cells import Scored
    from thbench.report.leaderboard import Column, Row

Pair = tuple[str, str, str]
"""Column id and two variants, by name."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranks of a table."""

    columns: tuple[Column, ...]
    """The columns, with what comparisons in them could find."""
    ranks: Mapping[str, Mapping[str, int]]
    """Column id to variant to rank."""
    comparisons: int
    """Pairs of methods and columns that were compared; Holm's correction is over all of them."""

    def ranked(self, row: Row) -> Row:
        """The row with its ranks."""
        cells = {
            id_: cell.model_copy(update={"rank": self.ranks.get(id_, {}).get(row.variant)})
            for id_, cell in row.cells.items()
        }
        return row.model_copy(update={"cells": cells})


def rank(columns: Sequence[Column], methods: Mapping[str, Mapping[str, Scored]], *, level: float = LEVEL) -> Ranking:
    """Compare every two methods in every column that has a direction.

    Two methods are told apart in a column if their difference, paired by clip and seed, has a p-value below 1 - level
    after Holm's correction over all comparisons of the table: the chance that any of them is false is then below it.

    Args:
        columns: The columns.
        methods: Variant to column id to what it scored; those that compete.
        level: 1 - the chance of any false difference in the table.
    """
    contrasts: dict[Pair, Contrast] = {}
    for column in columns:
        if column.direction != "none":
            in_it = sorted(variant for variant, cells in methods.items() if _value(cells, column.id) is not None)
            for a, b in itertools.combinations(in_it, 2):
                first, second = methods[a][column.id].evidence, methods[b][column.id].evidence
                contrasts[column.id, a, b] = contrast(first, second, column.direction, level=level, resamples=0)
    adjusted = holm({pair: found.p for pair, found in contrasts.items()})
    apart = {pair for pair, p in adjusted.items() if p is not None and p < 1 - level}
    ranks = {column.id: _ranks(column.id, contrasts, apart) for column in columns}
    told = tuple(
        column.model_copy(update={"detectable": _detectable(column.id, contrasts, level)}) for column in columns
    )
    return Ranking(told, ranks, sum(p is not None for p in adjusted.values()))


def _value(cells: Mapping[str, Scored], id_: str) -> float | None:
    return cells[id_].cell.value if id_ in cells else None


def _ranks(id_: str, contrasts: Mapping[Pair, Contrast], apart: set[Pair]) -> dict[str, int]:
    names = sorted({name for column, *pair in contrasts if column == id_ for name in pair})

    def better(a: str, b: str) -> bool:
        pair = (id_, a, b) if a < b else (id_, b, a)
        return pair in apart and contrasts[pair].b_is_better == (b < a)

    return rank_groups(names, better)


def _detectable(id_: str, contrasts: Mapping[Pair, Contrast], level: float) -> float | None:
    """The largest of the differences that the column's comparisons could find, one by one."""
    found = [
        effect
        for (column, _, _), one in contrasts.items()
        if column == id_ and one.estimate is not None and (effect := detectable(one.estimate, level=level)) is not None
    ]
    return max(found, default=None)
