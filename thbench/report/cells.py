"""The cells of a leaderboard, and the evidence behind each: what every video says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from thbench.metrics.moments import DegenerateSetError
from thbench.report.contrast import Evidence
from thbench.report.leaderboard import Cell
from thbench.report.outcomes import ColumnPlan, Job, Outcome, members_of, outcomes_of
from thbench.report.sets import FeatureLoader, Member, SetNumber, set_number
from thbench.stats.bootstrap import LEVEL, RESAMPLES, Estimate, mean_estimate
from thbench.types import GROUND_TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping

Estimator = Callable[[Sequence[Outcome]], Estimate]


class Scored(NamedTuple):
    """One row in one column."""

    cell: Cell
    evidence: Evidence


def score_rows(
    jobs: Sequence[Job],
    columns: Sequence[ColumnPlan],
    features: FeatureLoader | None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Scored]]:
    """Every row's cells: variant to column id to cell and evidence; columns that a row was not planned for are absent.

    Args:
        jobs: What was planned and what became of it.
        columns: The columns.
        features: Gives the features that metrics of sets of videos need.
        level: Nominal coverage of the intervals.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    def estimate(outcomes: Sequence[Outcome]) -> Estimate:
        values, people = [o.value for o in outcomes], [o.identity for o in outcomes]
        return mean_estimate(values, people, level=level, resamples=resamples, seed=seed)

    by_variant: dict[str, list[Job]] = {}
    for job in jobs:
        by_variant.setdefault(job.variant, []).append(job)
    table: dict[str, dict[str, Scored]] = {variant: {} for variant in by_variant}
    for plan in columns:
        planned = {
            variant: units
            for variant, mine in by_variant.items()
            if (units := [j for j in mine if j.recipe in plan.recipes])
        }
        real = planned.get(GROUND_TRUTH, [])
        if plan.statistic is not None:
            scored = {variant: _of_set(units, real, plan, features, level) for variant, units in planned.items()}
        else:
            truth = _real_values(real, plan)
            scored = {variant: _of_videos(units, plan, truth, estimate) for variant, units in planned.items()}
        for variant, one in scored.items():
            table[variant][plan.column.id] = one
    return table


def _real_values(real: Sequence[Job], plan: ColumnPlan) -> dict[str, float]:
    """Clip to the value of its real video; one stands for its clip, however many seeds the ground-truth row has."""
    outcomes = outcomes_of(real, plan.column.metric)
    return {o.clip: o.value for o in sorted(outcomes, reverse=True, key=lambda o: (o.clip, o.seed)) if o.reason is None}


def _of_videos(jobs: Sequence[Job], plan: ColumnPlan, real: Mapping[str, float], estimate: Estimator) -> Scored:
    outcomes = outcomes_of(jobs, plan.column.metric)
    scored = [outcome for outcome in outcomes if outcome.reason is None]
    missing = Counter(outcome.reason for outcome in outcomes if outcome.reason is not None)
    cell = Cell(
        value=None, scored=len(scored), total=len(outcomes), identities=0, missing=dict(sorted(missing.items()))
    )
    if scored:
        cell = cell.model_copy(update=_numbers(estimate(scored), plan.span))
    evidence = Evidence(
        values={(o.clip, o.seed): o.value for o in scored},
        identities={(o.clip, o.seed): o.identity for o in scored},
        missing={(o.clip, o.seed): o.reason for o in outcomes if o.reason is not None},
        real=real if plan.column.direction == "closer-to-real" else {},
    )
    return Scored(cell, evidence)


def _numbers(estimate: Estimate, span: tuple[float, float]) -> dict[str, object]:
    found: dict[str, object] = {
        "value": None if math.isnan(estimate.value) else estimate.value,
        "note": estimate.reason,
        "identities": estimate.clusters,
    }
    if estimate.interval is not None:
        interval = estimate.interval.clipped(*span)
        found |= {"low": interval.low, "high": interval.high, "method": interval.method}
    return found


def _of_set(
    jobs: Sequence[Job], real: Sequence[Job], plan: ColumnPlan, load: FeatureLoader | None, level: float
) -> Scored:
    """The cell of a metric of sets of videos: all videos that have features make one number."""
    statistic = plan.statistic
    if statistic is None:
        raise ValueError(f"{plan.column.metric} is no metric of sets of videos")
    ours, missing = members_of(jobs, plan.column.metric, statistic.extractor)
    total = len(ours) + len(missing)
    clips = {job.clip for job in jobs}
    theirs, _ = members_of([job for job in real if job.clip in clips], plan.column.metric, statistic.reference)
    # One real video stands for its clip, however many seeds the ground-truth row has.
    one_each = list({member.clip: member for member in sorted(theirs, reverse=True)}.values())
    found = _set_number(plan, ours, one_each, load, level)
    reasons = Counter(missing.values())
    if isinstance(found, str):
        reasons[found] += len(ours)
        missing = {**missing, **{member.unit: found for member in ours}}
    cell = Cell(
        value=None,
        scored=0 if isinstance(found, str) else len(ours),
        total=total,
        identities=0,
        missing=dict(sorted((reason, count) for reason, count in reasons.items() if count)),
    )
    if isinstance(found, str):
        return Scored(cell, Evidence(missing=missing))
    evidence = Evidence(
        identities={member.unit: member.identity for member in ours},
        missing=missing,
        number=found.value,
        left_out=found.left_out,
    )
    return Scored(cell.model_copy(update=_set_numbers(found, plan.span)), evidence)


def _set_number(
    plan: ColumnPlan, ours: Sequence[Member], theirs: Sequence[Member], load: FeatureLoader | None, level: float
) -> SetNumber | str:
    """The number, or the reason why there is none."""
    if not ours:
        return "no video with features"
    if load is None:
        return "features were not read"
    if not theirs or plan.statistic is None:
        return "no real video with features to compare with"
    try:
        return set_number(plan.statistic, ours, theirs, load, level=level)
    except DegenerateSetError as error:
        return str(error)


def _set_numbers(number: SetNumber, span: tuple[float, float]) -> dict[str, object]:
    found: dict[str, object] = {
        "value": number.value,
        "identities": number.identities,
        "note": number.note,
        "remarks": number.remarks,
    }
    if number.low is not None and number.high is not None:
        low, high = span
        found |= {"low": max(number.low, low), "high": min(number.high, high), "method": "jackknife-t"}
    return found
