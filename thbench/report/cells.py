"""The cells of a leaderboard, and the evidence behind each: what every video says."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from thbench.metrics.moments import DegenerateSetError
from thbench.report.contrast import Evidence
from thbench.report.leaderboard import Cell
from thbench.report.outcomes import ColumnPlan, Job, Videos, by_variant, members_of, videos_of
from thbench.report.sets import FeatureLoader, Member, SetNumber, set_number
from thbench.stats.bootstrap import LEVEL, RESAMPLES, Estimate
from thbench.stats.many import People, mean_estimates
from thbench.types import GROUND_TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scored:
    """One row in one column."""

    cell: Cell
    """What is printed."""
    videos: Videos | None = None
    """What every video says; None for a metric of sets of videos."""
    real: Mapping[str, float] = field(default_factory=dict)
    """Clip to the value of its real video, where closer to it is better."""
    of_set: Evidence | None = None
    """What a metric of sets of videos says."""

    @property
    def evidence(self) -> Evidence:
        """The same, video by video."""
        if self.videos is None:
            return self.of_set or Evidence()
        videos = self.videos
        known = np.flatnonzero(~np.isnan(videos.values)).tolist()
        return Evidence(
            values=dict(zip((videos.units[i] for i in known), videos.values[known].tolist(), strict=True)),
            identities={videos.units[i]: videos.identities[i] for i in known},
            missing={videos.units[i]: reason for i, reason in videos.reasons.items()},
            real=self.real,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """One column of several rows: the same videos beside each other."""

    units: tuple[tuple[str, int], ...]
    """Clip and seed of each place."""
    identities: tuple[str, ...]
    """Who speaks there."""
    values: NDArray[np.float64]
    """Shape (rows, places); NaN where a row has no value."""

    @property
    def consistent(self) -> bool:
        """Whether no video is said to be of two people."""
        return len(set(self.units)) == len(self.units)


def table_of(rows: Sequence[Videos]) -> Table:
    """Lay rows beside each other; a video that is of other people in other rows has several places."""
    first = rows[0]
    if all(row.units == first.units and row.identities == first.identities for row in rows[1:]):
        return Table(first.units, first.identities, np.stack([row.values for row in rows]))
    places = sorted({place for row in rows for place in zip(row.units, row.identities, strict=True)})
    at = {place: i for i, place in enumerate(places)}
    values = np.full((len(rows), len(places)), np.nan)
    for i, row in enumerate(rows):
        values[i, [at[place] for place in zip(row.units, row.identities, strict=True)]] = row.values
    return Table(tuple(unit for unit, _ in places), tuple(person for _, person in places), values)


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
    jobs_by_variant = by_variant(jobs)
    observed = {variant: videos_of(mine, columns) for variant, mine in jobs_by_variant.items()}
    table: dict[str, dict[str, Scored]] = {variant: {} for variant in jobs_by_variant}
    for plan in columns:
        if plan.statistic is not None:
            planned = {
                variant: units
                for variant, mine in jobs_by_variant.items()
                if (units := [j for j in mine if j.recipe in plan.recipes])
            }
            real = planned.get(GROUND_TRUTH, [])
            scored = {variant: _of_set(units, real, plan, features, level) for variant, units in planned.items()}
        else:
            rows = {variant: found[plan.column.id] for variant, found in observed.items() if plan.column.id in found}
            scored = _of_videos(rows, plan, level=level, resamples=resamples, seed=seed)
        for variant, one in scored.items():
            table[variant][plan.column.id] = one
    return table


def _of_videos(
    rows: Mapping[str, Videos], plan: ColumnPlan, *, level: float, resamples: int, seed: int
) -> dict[str, Scored]:
    if not rows:
        return {}
    several = table_of(list(rows.values()))
    estimates = mean_estimates(
        several.values, People.of(several.identities), level=level, resamples=resamples, seed=seed
    )
    truth = _real_values(rows.get(GROUND_TRUTH)) if plan.column.direction == "closer-to-real" else {}
    return {
        variant: Scored(_cell(videos, estimate, plan), videos, truth)
        for (variant, videos), estimate in zip(rows.items(), estimates, strict=True)
    }


def _real_values(real: Videos | None) -> dict[str, float]:
    """Clip to the value of its real video; one stands for its clip, however many seeds the ground-truth row has."""
    if real is None:
        return {}
    pairs = list(zip(real.units, real.values.tolist(), strict=True))
    return {clip: value for (clip, _), value in reversed(pairs) if not math.isnan(value)}


def _cell(videos: Videos, estimate: Estimate | None, plan: ColumnPlan) -> Cell:
    missing = Counter(videos.reasons.values())
    cell = Cell(
        value=None,
        scored=len(videos.units) - len(videos.reasons),
        total=len(videos.units),
        identities=0,
        missing=dict(sorted(missing.items())),
    )
    return cell if estimate is None else cell.model_copy(update=_numbers(estimate, plan.span))


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
        return Scored(cell, of_set=Evidence(missing=missing))
    evidence = Evidence(
        identities={member.unit: member.identity for member in ours},
        missing=missing,
        number=found.value,
        left_out=found.left_out,
    )
    return Scored(cell.model_copy(update=_set_numbers(found, plan.span)), of_set=evidence)


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
