"""From records to what each video says of each metric: jobs, columns, outcomes."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.errors import UsageError
from thbench.report.leaderboard import Column
from thbench.report.sets import Member
from thbench.run.hashing import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.run.info import MetricInfo, Planned, Recipe, RunInfo
    from thbench.spec import SetStatistic
    from thbench.types import Record

NOT_RUN = "not run"
"""Reason of a video that was planned and has no record."""
FAILED = "failed"
"""Reason of a video whose record says `failed`; the error is among the failures."""
NOT_RECORDED = "not recorded"
"""Reason of a metric that is neither among the values nor among the missing of a record."""
NOT_A_NUMBER = "not a number"
"""Reason of a value that is NaN."""


Unit = tuple[str, int]
"""One video of a variant: clip id and seed."""


class Job(NamedTuple):
    """One record that is to be, with the record if there is one."""

    key: str
    variant: str
    clip: str
    identity: str
    seed: int
    recipe: str
    record: Record | None

    @property
    def unit(self) -> Unit:
        """Clip and seed."""
        return self.clip, self.seed


@dataclass(frozen=True, slots=True)
class Videos:
    """What the videos of one variant say of one metric: a number, or the reason why there is none."""

    units: tuple[Unit, ...]
    """The videos, in order."""
    identities: tuple[str, ...]
    """Who speaks in each."""
    values: NDArray[np.float64]
    """Shape (videos,); NaN where `reasons` says why."""
    reasons: Mapping[int, str]
    """Position to reason."""


def jobs_of(records: Iterable[Record], info: RunInfo) -> list[Job]:
    """Planned records and unplanned ones, ordered by key."""
    found: dict[str, Record] = {}
    for record in records:
        if record.key in found:
            raise ValueError(f"two records have the key {record.key!r}; take one of each, as RunStore.read does")
        found[record.key] = record
    planned = {entry.key: entry for entry in info.planned}
    return [_job(key, planned.get(key), found.get(key), info) for key in sorted({*planned, *found})]


def _job(key: str, planned: Planned | None, record: Record | None, info: RunInfo) -> Job:
    source = record if record is not None else planned
    if source is None:
        raise ValueError(f"nothing is known of the key {key!r}")
    recipe = (record.recipe if record is not None else "") or (planned.recipe if planned is not None else "")
    if not recipe and len(info.recipes) == 1:
        recipe = next(iter(info.recipes))
    if recipe not in info.recipes:
        raise UsageError(
            f"clip {source.clip!r} of {source.variant!r} refers to the recipe {recipe!r}, which run.json does not "
            f"describe; known: {', '.join(info.recipes) or 'none'}; restore run.json or run again"
        )
    return Job(key, source.variant, source.clip, source.identity, source.seed, recipe, record)


class ColumnPlan(NamedTuple):
    """A column and where it comes from."""

    column: Column
    recipes: frozenset[str]
    span: tuple[float, float]
    statistic: SetStatistic | None
    approximates: str | None = None


def columns_of(recipes: Mapping[str, Recipe], used: set[str]) -> list[ColumnPlan]:
    """Columns in the order in which the recipes list their metrics, with the recipes that fill them."""
    members: dict[str, dict[str, set[str]]] = {}
    content: dict[str, tuple[MetricInfo, dict[str, str]]] = {}
    for key in sorted(used):
        recipe = recipes[key]
        context = {name: _word(value) for name, value in recipe.context.items()}
        for metric, metric_info in recipe.metrics.items():
            identity = content_hash([metric, _meaning(metric_info), context])
            members.setdefault(metric, {}).setdefault(identity, set()).add(key)
            content.setdefault(identity, (metric_info, context))
    plans = []
    for metric, same_name in members.items():
        for identity in sorted(same_name):
            metric_info, context = content[identity]
            id_ = metric if len(same_name) == 1 else f"{metric}@{identity[:8]}"
            column = _column(id_, metric, metric_info, context)
            span = metric_info.low, metric_info.high
            recipes_of = frozenset(same_name[identity])
            plans.append(ColumnPlan(column, recipes_of, span, metric_info.statistic, metric_info.approximates))
    return plans


def _meaning(info: MetricInfo) -> list[object]:
    """What makes two numbers comparable; a better title or source is no other metric."""
    statistic = None if info.statistic is None else info.statistic.model_dump()
    return [info.version, info.protocol, info.unit, info.direction, *([statistic] if statistic else [])]


def _column(id_: str, metric: str, info: MetricInfo, context: Mapping[str, str]) -> Column:
    return Column(
        id=id_,
        metric=metric,
        title=info.title,
        direction=info.direction,
        unit=info.unit,
        version=info.version,
        protocol=info.protocol,
        source=info.source,
        context=context,
    )


def by_variant(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """Variant to its jobs."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.variant, []).append(job)
    return found


def videos_of(jobs: Iterable[Job], plans: Sequence[ColumnPlan]) -> dict[str, Videos]:
    """What the videos of one variant say, column by column.

    There is one outcome for each (clip, seed); of several records, a number counts before a reason, then the later
    attempt.

    Args:
        jobs: Of one variant.
        plans: Columns; those of sets of videos are passed over.

    Returns:
        Column id to outcomes; columns that the variant was not planned for are absent.
    """
    # The better records first.
    ordered = sorted(jobs, key=lambda job: (-1 if job.record is None else job.record.attempt, job.key), reverse=True)
    groups: dict[frozenset[str], _Group] = {}
    found = {}
    for plan in plans:
        if plan.statistic is None:
            if plan.recipes not in groups:
                groups[plan.recipes] = _grouped(job for job in ordered if job.recipe in plan.recipes)
            if groups[plan.recipes].units:
                found[plan.column.id] = _videos(groups[plan.recipes], plan.column.metric)
    return found


class _Group(NamedTuple):
    """Videos with their records, the better ones first."""

    units: tuple[Unit, ...]
    jobs: tuple[tuple[Job, ...], ...]
    identities: tuple[str, ...]
    """Of the better record of each."""
    values: tuple[Mapping[str, float], ...]
    """Of the better record of each; empty where it has none, or failed."""


def _grouped(jobs: Iterable[Job]) -> _Group:
    units: dict[Unit, list[Job]] = {}
    for job in jobs:
        units.setdefault((sys.intern(job.clip), job.seed), []).append(job)
    ordered = tuple(sorted(units))
    several = tuple(tuple(units[unit]) for unit in ordered)
    best = [jobs[0] for jobs in several]
    values = tuple(job.record.values if job.record is not None and job.record.status == "ok" else {} for job in best)
    # Equal names of different records are made one, so that rows are compared in no time.
    return _Group(ordered, several, tuple(sys.intern(job.identity) for job in best), values)


def _videos(group: _Group, metric: str) -> Videos:
    values = np.array([found.get(metric, math.nan) for found in group.values], np.float64)
    # Most records are the only ones of their videos and have a number; only the others are looked at again.
    lacking = np.flatnonzero(np.isnan(values)).tolist()
    if not lacking:
        return Videos(group.units, group.identities, values, {})
    identities = list(group.identities)
    reasons: dict[int, str] = {}
    for place in lacking:
        several = group.jobs[place]
        found = next(((job, value) for job in several if (value := _value(job.record, metric)[0]) == value), None)
        if found is None:
            reasons[place] = _value(several[0].record, metric)[1] or NOT_RECORDED
        else:
            identities[place], values[place] = found[0].identity, found[1]
    return Videos(group.units, tuple(identities), values, reasons)


def _value(record: Record | None, metric: str) -> tuple[float, str | None]:
    if record is None:
        return math.nan, NOT_RUN
    if record.status == "failed":
        return math.nan, FAILED
    value = record.values.get(metric)
    if value is None:
        return math.nan, record.missing.get(metric, NOT_RECORDED)
    return value, NOT_A_NUMBER if math.isnan(value) else None


def members_of(jobs: Sequence[Job], metric: str, extractor: str) -> tuple[list[Member], dict[tuple[str, int], str]]:
    """The videos that have features, one for each (clip, seed), and the reasons of the others."""
    best: dict[tuple[str, int], tuple[tuple[bool, int, str], Job, str | None]] = {}
    for job in jobs:
        reason = _lack_of_features(job, metric, extractor)
        rank = (reason is None, job.record.attempt if job.record is not None else -1, job.key)
        unit = (job.clip, job.seed)
        if unit not in best or best[unit][0] < rank:
            best[unit] = rank, job, reason
    chosen = [best[unit] for unit in sorted(best)]
    members = [
        Member(job.clip, job.identity, job.key, job.record.features[extractor], job.seed)
        for _, job, reason in chosen
        if reason is None and job.record is not None
    ]
    return members, {(job.clip, job.seed): reason for _, job, reason in chosen if reason is not None}


def _lack_of_features(job: Job, metric: str, extractor: str) -> str | None:
    if job.record is None:
        return NOT_RUN
    if job.record.status == "failed":
        return FAILED
    if metric in job.record.missing:
        return job.record.missing[metric]
    return None if extractor in job.record.features else NOT_RECORDED


def _word(value: float | str | None) -> str:
    """A setting as text: 25.0 is `25`."""
    if value is None:
        return "each clip's own"
    return f"{value:g}" if isinstance(value, float) else value
