"""The quality of a run folder, and how much of it the candidate lost: paired by clip and seed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from thbench.gate.document import Measured
from thbench.report.cells import score_rows
from thbench.report.contrast import Contrast, Evidence, contrast
from thbench.report.outcomes import NOT_RUN, columns_of, jobs_of
from thbench.stats.bootstrap import RESAMPLES
from thbench.types import GROUND_TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench.report.leaderboard import Column
    from thbench.run.store import Contents
    from thbench.spec import Direction

LARGEST_DRIFT = 1e-6
"""Share of its value by which a real video may score differently in two runs: the last digits of sums."""

ColumnKey = tuple[object, ...]
"""Metric, version, protocol, unit, direction and context: what must be equal for two numbers to be compared."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What a run folder says of quality, video by video."""

    columns: Mapping[ColumnKey, Column] = field(default_factory=dict)
    """The columns."""
    rows: Mapping[str, Mapping[ColumnKey, Evidence]] = field(default_factory=dict)
    """Variant to column to what its videos say."""

    @property
    def metrics(self) -> frozenset[str]:
        """Names of all metrics."""
        return frozenset(column.metric for column in self.columns.values())

    @property
    def variants(self) -> frozenset[str]:
        """All rows but the ground truth."""
        return frozenset(self.rows) - {GROUND_TRUTH}

    def keys_of(self, metric: str) -> frozenset[ColumnKey]:
        """The columns of a metric."""
        return frozenset(key for key, column in self.columns.items() if column.metric == metric)


def quality_of(contents: Contents) -> Quality:
    """Read the quality of a run folder."""
    jobs = jobs_of(contents.records, contents.info)
    plans = columns_of(contents.info.recipes, {job.recipe for job in jobs})
    keys = {plan.column.id: _key(plan.column) for plan in plans}
    table = score_rows(jobs, plans, contents.features, resamples=0)
    return Quality(
        {_key(plan.column): plan.column for plan in plans},
        {variant: {keys[id_]: one.evidence for id_, one in cells.items()} for variant, cells in table.items()},
    )


def _key(column: Column) -> ColumnKey:
    context = tuple(sorted(column.context.items()))
    return column.metric, column.version, column.protocol, column.unit, column.direction, context


class Lost(NamedTuple):
    """What a comparison of one column of one variant gives."""

    contrast: Contrast
    """The loss from baseline to candidate."""
    lost: Mapping[str, int]
    """Reason to the number of videos that the baseline scored and the candidate tried in vain."""
    unfinished: int
    """Videos that the baseline scored and the candidate planned, but did not come to."""
    not_planned: int
    """Videos that the baseline scored and that are no part of the candidate run."""
    new: int
    """Videos that only the candidate scored."""

    @property
    def share(self) -> float:
        """Net share of the videos that lost their value."""
        lost = sum(self.lost.values())
        return max(0, lost - self.new) / max(1, lost + self.contrast.pairs)

    @property
    def chance(self) -> float:
        """Chance of so one-sided a change if values came and went alike (McNemar's exact test)."""
        lost = sum(self.lost.values())
        changed = lost + self.new
        tail = sum(math.comb(changed, k) for k in range(max(lost, self.new), changed + 1))
        return min(1.0, 2.0 * tail / 2.0**changed)


def quality_loss(baseline: Evidence, candidate: Evidence, direction: Direction, *, resamples: int = RESAMPLES) -> Lost:
    """Compare one column of one variant."""
    without = baseline.scored - candidate.scored
    lost = Counter(candidate.missing[unit] for unit in without if unit in candidate.missing)
    unfinished = lost.pop(NOT_RUN, 0)
    found = contrast(baseline, candidate, direction, resamples=resamples)
    not_planned = sum(unit not in candidate.missing for unit in without)
    return Lost(found, dict(sorted(lost.items())), unfinished, not_planned, len(candidate.scored - baseline.scored))


def measured_of(found: Contrast, *, relative: bool) -> Measured | str:
    """The loss as a gate reads it, or why there is none."""
    if found.estimate is None:
        return found.reason or "nothing could be compared"
    estimate = found.estimate
    if estimate.interval is None:
        return f"no interval: {estimate.reason}"
    scale = 1.0
    if relative and not estimate.interval.low == estimate.interval.high == 0:
        if not found.base:
            return "the limits are shares, and what they are shares of is 0 or unknown; write absolute ones"
        scale = abs(found.base)
    means = found.means or (None, None)
    return Measured(
        loss=estimate.value / scale,
        low=estimate.interval.low / scale,
        high=estimate.interval.high / scale,
        baseline=means[0],
        candidate=means[1],
        pairs=found.pairs,
        how=f"{estimate.interval.method} over {estimate.clusters} identities",
    )


def moved_truth(baseline: Quality, candidate: Quality, keys: frozenset[ColumnKey]) -> str | None:
    """What the two runs say differently of the same real video; None if nothing.

    Real videos are scored by the same pass in every run, so they are the control of the measurement itself.
    """
    ours, theirs = (side.rows.get(GROUND_TRUTH, {}) for side in (baseline, candidate))
    for key in sorted(keys & ours.keys() & theirs.keys(), key=str):
        first, second = ours[key], theirs[key]
        for unit in sorted(first.values.keys() & second.values.keys()):
            a, b = first.values[unit], second.values[unit]
            if a != b and not abs(a - b) <= LARGEST_DRIFT * max(abs(a), abs(b)):
                return (
                    f"the real video {unit[0]!r} has {baseline.columns[key].metric} {a:.6g} in one run and {b:.6g} in "
                    "the other: data or measurement changed"
                )
    return None
