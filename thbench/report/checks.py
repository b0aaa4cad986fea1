"""Beside every column: whether its metric did what is expected of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.validate.document import mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thbench.report.leaderboard import Leaderboard
    from thbench.validate.document import MetricVerdict


def with_checks(leaderboard: Leaderboard, verdicts: Iterable[MetricVerdict]) -> Leaderboard:
    """The leaderboard with the mark of every column.

    A verdict is about one version and protocol of a metric; columns of another one are not validated.
    """
    known = {verdict.protocol_id: verdict for verdict in verdicts}
    columns = []
    for column in leaderboard.columns:
        mark, why = mark_of(known.get(column.protocol_id))
        columns.append(column.model_copy(update={"check": mark, "check_note": why}))
    return leaderboard.model_copy(update={"columns": tuple(columns)})
