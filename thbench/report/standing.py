"""Which methods are best and second in a column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.report.leaderboard import Column, Leaderboard


def standings(leaderboard: Leaderboard) -> dict[str, dict[str, int]]:
    """Places 1 and 2 among the methods of every column.

    Ground truth and baselines bound a table and do not compete. There are no places in a column without direction,
    without at least two methods that have a value, or, where closer to real is better, without a finite ground truth.
    Methods with equal values share a place, and the next place is then left out.

    Returns:
        Column id to variant to place.
    """
    return {column.id: _places(leaderboard, column) for column in leaderboard.columns}


def cost_of(value: float, column: Column, real: float | None) -> float:
    """What is to be small; the value itself where nothing is better, or where the ground truth is unknown."""
    if column.direction == "higher":
        return -value
    if column.direction == "closer-to-real" and real is not None and math.isfinite(real):
        return abs(value - real)
    return value


def real_value(leaderboard: Leaderboard, column: Column) -> float | None:
    """Value of the ground truth in a column."""
    for row in leaderboard.rows:
        if row.kind == "ground-truth" and (cell := row.cells.get(column.id)) is not None and cell.value is not None:
            return cell.value
    return None


def _places(leaderboard: Leaderboard, column: Column) -> dict[str, int]:
    values = {
        row.variant: cell.value
        for row in leaderboard.rows
        if row.kind == "method" and (cell := row.cells.get(column.id)) is not None and cell.value is not None
    }
    costs = _costs(values, leaderboard, column)
    if len(costs) < 2:
        return {}
    places = {variant: 1 + sum(other < cost for other in costs.values()) for variant, cost in costs.items()}
    return {variant: place for variant, place in places.items() if place <= 2}


def _costs(values: Mapping[str, float], leaderboard: Leaderboard, column: Column) -> dict[str, float]:
    """What is to be small, for each variant; empty where nothing is better than anything."""
    real = real_value(leaderboard, column)
    unknown = column.direction == "closer-to-real" and (real is None or not math.isfinite(real))
    if column.direction == "none" or unknown:
        return {}
    return {variant: cost_of(value, column, real) for variant, value in values.items()}
