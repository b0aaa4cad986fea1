"""Two runs beside each other: what moved, paired by clip."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.digits import format_interval, format_value
from thbench.report.grid import DASH
from thbench.report.site.data import ClipTable, Comparison, Delta
from thbench.stats.bootstrap import LEVEL, paired_difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thbench.report.leaderboard import Column, Leaderboard
    from thbench.spec import Direction

WORDS: Mapping[Direction, tuple[str, str]] = {
    "higher": ("better", "worse"),
    "lower": ("worse", "better"),
    "closer-to-real": ("higher", "lower"),
    "none": ("higher", "lower"),
}
"""What a difference above and below zero is called."""
SAME = "not told apart"
"""What a difference is called whose interval holds zero."""
UNKNOWN = "cannot tell"
"""What is said where there is no interval."""


def compare_runs(
    ours: Leaderboard,
    our_clips: Mapping[str, ClipTable],
    theirs: Leaderboard,
    their_clips: Mapping[str, ClipTable],
    *,
    level: float = LEVEL,
) -> Comparison:
    """Compare every variant and column that both runs have under one protocol.

    Args:
        ours: This run.
        our_clips: Variant to the clips of this run.
        theirs: The other run.
        their_clips: Variant to the clips of the other run.
        level: Nominal coverage of the intervals.
    """
    matched = {c.id: other for c in ours.columns if (other := _same(c, theirs)) is not None}
    apart = [
        f"{c.id}: the other run has no column of this metric under the same protocol"
        for c in ours.columns
        if c.id not in matched
    ]
    names = {row.variant for row in theirs.rows}
    apart += [f"{row.variant}: only this run has it" for row in ours.rows if row.variant not in names]
    known = {row.variant for row in ours.rows}
    apart += [f"{row.variant}: only the other run has it" for row in theirs.rows if row.variant not in known]
    deltas = [
        _delta(row.variant, column, matched[column.id], (ours, theirs), (our_clips, their_clips), level)
        for row in ours.rows
        if row.variant in names
        for column in ours.columns
        if column.id in matched and column.id in row.cells
    ]
    return Comparison(ours=ours.name, theirs=theirs.name, level=level, deltas=tuple(deltas), apart=tuple(apart))


def _same(column: Column, other: Leaderboard) -> Column | None:
    """The column of the other run that means the same."""

    def meaning(c: Column) -> tuple[object, ...]:
        return c.metric, c.version, c.protocol, c.unit, c.direction, tuple(sorted(c.context.items()))

    return next((c for c in other.columns if meaning(c) == meaning(column)), None)


def _delta(
    variant: str,
    column: Column,
    twin: Column,
    boards: tuple[Leaderboard, Leaderboard],
    clips: tuple[Mapping[str, ClipTable], Mapping[str, ClipTable]],
    level: float,
) -> Delta:
    mine, other = boards[0].row(variant).cells[column.id], boards[1].row(variant).cells.get(twin.id)
    told = Delta(
        variant=variant,
        column=column.id,
        direction=column.direction,
        unit=column.unit,
        ours=mine.value,
        theirs=None if other is None else other.value,
    )
    a, identities = _values(clips[0].get(variant), column.id)
    b, _ = _values(clips[1].get(variant), twin.id)
    if not a or not b:
        return told.model_copy(update={"note": _why(told)})
    paired = paired_difference(a, b, identities, level=level)
    unpaired = paired.only_a + paired.only_b + paired.undefined
    if paired.estimate is None:
        return told.model_copy(update={"unpaired": unpaired, "note": "no clip has a finite difference"})
    interval = paired.estimate.interval
    return told.model_copy(
        update={
            "difference": None if math.isnan(paired.estimate.value) else paired.estimate.value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "pairs": paired.pairs,
            "unpaired": unpaired,
            "note": paired.estimate.reason,
        }
    )


def _why(delta: Delta) -> str:
    if delta.ours is None or delta.theirs is None:
        return "one of the runs has no value"
    return "one number of all clips; its clips cannot be paired"


def _values(table: ClipTable | None, column: str) -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], str]]:
    """Values and identities by (clip, seed)."""
    if table is None or column not in table.values:
        return {}, {}
    units = list(zip(table.clips, table.seeds, strict=True))
    values = {unit: v for unit, v in zip(units, table.values[column], strict=True) if v is not None}
    return values, dict(zip(units, table.identities, strict=True))


@dataclass(frozen=True, slots=True)
class DeltaView:
    """One line of the comparison, ready to print."""

    column: str
    direction: Direction
    ours: str
    theirs: str
    difference: str
    interval: str
    pairs: int
    word: str
    note: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The comparison, ready to print."""

    variants: tuple[tuple[str, tuple[DeltaView, ...]], ...]
    counts: tuple[tuple[str, int], ...]


def comparison_view(comparison: Comparison) -> ComparisonView:
    """Lay out a comparison by variant."""
    by_variant: dict[str, list[DeltaView]] = {}
    for delta in comparison.deltas:
        by_variant.setdefault(delta.variant, []).append(_view(delta))
    counts = Counter(view.word for several in by_variant.values() for view in several)
    order = ("better", "worse", "higher", "lower", SAME, UNKNOWN)
    return ComparisonView(
        tuple((variant, tuple(several)) for variant, several in by_variant.items()),
        tuple((word, counts[word]) for word in order if counts[word]),
    )


def word_of(delta: Delta) -> str:
    """What a difference says."""
    if delta.low is None or delta.high is None:
        return UNKNOWN
    if delta.low <= 0 <= delta.high:
        return SAME
    return WORDS[delta.direction][0 if delta.low > 0 else 1]


def _view(delta: Delta) -> DeltaView:
    interval = ""
    if delta.difference is not None and delta.low is not None and delta.high is not None:
        interval = format_interval(delta.difference, delta.low, delta.high)
    return DeltaView(
        column=delta.column,
        direction=delta.direction,
        ours=DASH if delta.ours is None else format_value(delta.ours),
        theirs=DASH if delta.theirs is None else format_value(delta.theirs),
        difference=DASH if delta.difference is None else format_value(delta.difference, delta.low, delta.high),
        interval=interval or DASH,
        pairs=delta.pairs,
        word=word_of(delta),
        note="; ".join(_notes(delta)),
    )


def _notes(delta: Delta) -> Iterator[str]:
    if delta.note:
        yield delta.note
    if delta.unpaired:
        yield f"{delta.unpaired} clips without a partner"
