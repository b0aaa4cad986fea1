"""The leaderboard as a tidy CSV table: one line for each row and column, with full precision."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from thbench.report.cost_grid import SPEED_UP, kinds_of, setting_text
from thbench.report.prose import context_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thbench.report.leaderboard import Cell, Column, CostTable, Leaderboard, Row

FIELDS = (
    "variant",
    "kind",
    "column",
    "metric",
    "value",
    "low",
    "high",
    "level",
    "interval",
    "scored",
    "total",
    "identities",
    "rank",
    "missing",
    "note",
    "direction",
    "unit",
    "version",
    "protocol",
    "context",
    "detectable",
    "check",
    "check_note",
)
"""Names of the columns.

What is unknown is empty; infinities are `inf` and `-inf`; `missing` is `reason (count); ...`.
"""


def to_csv(leaderboard: Leaderboard) -> str:
    """Write the leaderboard as CSV (RFC 4180 quoting, line feeds)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in leaderboard.rows:
        for column in leaderboard.columns:
            if (cell := row.cells.get(column.id)) is not None:
                writer.writerow(_line(row, column, cell, leaderboard.level))
    kinds = kinds_of(leaderboard)
    for table in leaderboard.costs:
        writer.writerows(_cost_lines(table, kinds, leaderboard.level))
    return text.getvalue()


def _cost_lines(table: CostTable, kinds: Mapping[str, str], level: float) -> Iterator[dict[str, object]]:
    """Costs, and speed-ups as `speed-up/MEASURE`; `scored` and `total` are trials, or pairs of them."""
    context = setting_text(table)
    for measure in table.measures:
        for variant, row in table.rows.items():
            if (cost := row.get(measure.id)) is not None:
                yield {
                    **_cost_numbers(cost.value, cost.low, cost.high, cost.n, cost.note, level),
                    "variant": variant,
                    "kind": kinds.get(variant, ""),
                    "column": measure.id,
                    "metric": measure.id,
                    "direction": "lower",
                    "unit": measure.unit,
                    "protocol": measure.title,
                    "context": context,
                }
    for found in table.speed_ups:
        name = f"{SPEED_UP}/{found.measure.removeprefix('time/')}"
        yield {
            **_cost_numbers(found.ratio, found.low, found.high, found.pairs, found.note, level),
            "variant": found.variant,
            "kind": kinds.get(found.variant, ""),
            "column": name,
            "metric": name,
            "direction": "higher",
            "unit": "1",
            "protocol": f"geometric mean of {found.baseline} / {found.variant} over pairs of one round",
            "context": context,
        }


def _cost_numbers(
    value: float, low: float | None, high: float | None, n: int, note: str | None, level: float
) -> dict[str, object]:
    known = low is not None
    return {
        "value": value,
        "low": low,
        "high": high,
        "level": level if known else None,
        "interval": "over processes" if known else None,
        "scored": n,
        "total": n,
        "note": note,
    }


def _line(row: Row, column: Column, cell: Cell, level: float) -> dict[str, object]:
    return {
        "variant": row.variant,
        "kind": row.kind,
        "column": column.id,
        "metric": column.metric,
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "level": level if cell.method is not None else None,
        "interval": cell.method,
        "scored": cell.scored,
        "total": cell.total,
        "identities": cell.identities,
        "rank": cell.rank,
        "missing": "; ".join(f"{reason} ({count})" for reason, count in cell.missing.items()),
        "note": "; ".join([*([cell.note] if cell.note else []), *cell.remarks]),
        "direction": column.direction,
        "unit": column.unit,
        "version": column.version,
        "protocol": column.protocol,
        "context": context_text(column.context),
        "detectable": column.detectable,
        "check": column.check,
        "check_note": column.check_note,
    }
