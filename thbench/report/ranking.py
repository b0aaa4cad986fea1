"""Which methods of a table are told apart, and the ranks that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.contrasts import Contrasts, contrasts_of
from thbench.stats.bootstrap import LEVEL
from thbench.stats.many import holm_adjusted, ranks_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.report.cells import Scored
    from thbench.report.leaderboard import Column, Row


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
    names = {column.id: _competing(column, methods) for column in columns}
    found = {
        column.id: contrasts_of([methods[n][column.id] for n in names[column.id]], column.direction, level=level)
        for column in columns
        if len(names[column.id]) > 1
    }
    adjusted = holm_adjusted(np.concatenate([one.p for one in found.values()] or [np.zeros(0)]))
    ends = np.cumsum([len(one.p) for one in found.values()])
    apart = dict(zip(found, np.split(adjusted < 1 - level, ends[:-1]), strict=True)) if found else {}
    ranks = {id_: _ranks(names[id_], one, apart[id_]) for id_, one in found.items()}
    told = tuple(
        column.model_copy(update={"detectable": found[column.id].detectable(level) if column.id in found else None})
        for column in columns
    )
    return Ranking(told, ranks, int(np.sum(~np.isnan(adjusted))))


def _competing(column: Column, methods: Mapping[str, Mapping[str, Scored]]) -> list[str]:
    """Methods that have a value in a column where one can be better than another."""
    if column.direction == "none":
        return []
    return sorted(v for v, cells in methods.items() if column.id in cells and cells[column.id].cell.value is not None)


def _ranks(names: Sequence[str], found: Contrasts, apart: NDArray[np.bool_]) -> dict[str, int]:
    first, second = found.pairs
    better = np.zeros((len(names), len(names)), dtype=np.bool_)
    improved = found.value < 0
    better[first, second] = apart & ~improved
    better[second, first] = apart & improved
    return dict(zip(names, ranks_of(better).tolist(), strict=True))
