"""The leaderboard as a tidy CSV table: one line for each row and column, with full precision."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from thbench.report.prose import context_text

if TYPE_CHECKING:
    from thbench.report.leaderboard import Cell, Column, Leaderboard, Row

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
    return text.getvalue()


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
