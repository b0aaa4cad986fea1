"""Sentences that stand around the tables, the same in every format; plain text, not yet escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.aggregate import installation, videos
from thbench.report.digits import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.report.leaderboard import Column, Leaderboard


def state_of(leaderboard: Leaderboard) -> str:
    """How the run ended and what it did not do."""
    told = {
        "success": "The run is complete",
        "started": "The run has not ended, or was killed",
        "cancelled": "The run was cancelled",
        "failed": "The run ended with an error",
    }
    parts = [told[leaderboard.status]]
    if leaderboard.failures:
        parts.append(f"{videos(len(leaderboard.failures))} failed")
    if leaderboard.not_run:
        parts.append(f"{videos(leaderboard.not_run)} not run")
    return "; ".join(parts) + "."


def effort_of(leaderboard: Leaderboard) -> str:
    """On what and how long the run was computed; empty if it was never started."""
    where = sorted({f"thbench {installation(e)}, Python {e.python}, {e.cpu}" for e in leaderboard.environments})
    sentence = f"Computed by {'; '.join(where)}."
    if leaderboard.attempts:
        starts = "1 start" if leaderboard.attempts == 1 else f"{leaderboard.attempts} starts"
        known = (
            "of unknown length, as one was killed" if leaderboard.seconds is None else f"{leaderboard.seconds:.0f} s"
        )
        sentence += f" {starts}, {known}."
    return sentence


OF_SETS = frozenset({"e-fid", "fid", "fid-infinity", "fvd", "kid"})
"""Families of metrics that give one number for all videos together."""


def interval_sentence(leaderboard: Leaderboard) -> str:
    """What value, interval and counts are."""
    percent = f"{leaderboard.level * 100:g} %"
    sentence = f"Mean over videos with its {percent} interval over identities, and videos scored / videos in all."
    of_sets = {column.id for column in leaderboard.columns if column.metric.split("/")[0] in OF_SETS}
    if any(cell.remarks for row in leaderboard.rows for id_, cell in row.cells.items() if id_ in of_sets):
        sentence += " FID, KID and FVD are one number of all videos together; read their notes."
    return sentence


def cost_sentence(leaderboard: Leaderboard) -> str:
    """What the numbers of a table of costs are."""
    return (
        f"Measured apart from quality: means with {leaderboard.level * 100:g} % intervals over fresh processes, for "
        "memory the highest peak. Less is better, but for speed-ups. What was measured on another clip, size or device "
        "stands in a table of its own."
    )


def rank_sentence(leaderboard: Leaderboard) -> str:
    """What the ranks are; empty if there are none."""
    if not any(cell.rank for row in leaderboard.rows for cell in row.cells.values()):
        return ""
    compared = "1 comparison" if leaderboard.comparisons == 1 else f"{leaderboard.comparisons} comparisons"
    return (
        f"#n: rank; methods that are not told apart share one (differences paired by clip, Holm's correction over "
        f"{compared}, {(1 - leaderboard.level) * 100:.2g} % chance of any false one)."
    )


def check_sentence(leaderboard: Leaderboard) -> str:
    """What the marks of the metrics mean, as far as they occur."""
    told = {
        "fails": "† fails some of what thbench validate-metrics expects of it",
        "not validated": "‡ not validated here",
    }
    present = {column.check for column in leaderboard.columns}
    return ", ".join(text for check, text in told.items() if check in present)


def arrow_sentence(leaderboard: Leaderboard) -> str:
    """What the arrows mean, as far as they occur."""
    told = {
        "higher": "↑ higher is better",
        "lower": "↓ lower is better",
        "closer-to-real": "→ closer to the ground-truth row is better",
    }
    present = {column.direction for column in leaderboard.columns}
    return ", ".join(text for direction, text in told.items() if direction in present)


def common_context(leaderboard: Leaderboard) -> str | None:
    """What stands before every metric, if that is the same in all columns."""
    found = {context_text(column.context) for column in leaderboard.columns}
    return found.pop() if len(found) == 1 else None


def protocol_of(column: Column, common: str | None) -> str:
    """Version, protocol and source of a column, with its context unless all columns share it."""
    own = "" if common is not None else f"; {context_text(column.context)}"
    parts = [f"{column.title}; version {column.version}; {column.protocol}{own}; source: {column.source}"]
    if column.check not in {None, "holds"}:
        parts.append(f"{column.check}: {column.check_note}")
    if column.detectable is not None:
        parts.append(f"differences below {format_value(column.detectable)} are mostly missed by so few identities")
    return "; ".join(parts)


def context_text(context: Mapping[str, str]) -> str:
    """What stands before every metric, in words."""
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in context.items())
