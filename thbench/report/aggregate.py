"""From records to a leaderboard: a pure function, whatever the order and the sharding of the records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from thbench.errors import UsageError
from thbench.metrics.moments import DegenerateSetError
from thbench.report.leaderboard import Cell, Column, Failure, Leaderboard, Row
from thbench.report.sets import FeatureLoader, Member, SetNumber, set_number
from thbench.run.hashing import canonical_json, content_hash
from thbench.stats.bootstrap import LEVEL, RESAMPLES, Estimate, mean_estimate
from thbench.types import GROUND_TRUTH, Record

if TYPE_CHECKING:
    from thbench.run.info import Environment, Kind, MetricInfo, Planned, Recipe, RunInfo
    from thbench.spec import SetStatistic

NOT_RUN = "not run"
"""Reason of a video that was planned and has no record."""
FAILED = "failed"
"""Reason of a video whose record says `failed`; the error is among the failures."""
NOT_RECORDED = "not recorded"
"""Reason of a metric that is neither among the values nor among the missing of a record."""
NOT_A_NUMBER = "not a number"
"""Reason of a value that is NaN."""

KIND_ORDER: Mapping[Kind, int] = {"ground-truth": 0, "baseline": 1, "method": 2}


@dataclass(frozen=True, slots=True)
class _Job:
    """One record that is to be, with the record if there is one."""

    key: str
    variant: str
    clip: str
    identity: str
    seed: int
    recipe: str
    record: Record | None


class _Outcome(NamedTuple):
    """What one job says of one metric: a number or the reason why there is none."""

    identity: str
    value: float
    reason: str | None


_Estimator = Callable[[Sequence[_Outcome]], Estimate]


def aggregate(
    records: Iterable[Record],
    info: RunInfo,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    warnings: Sequence[str] = (),
    features: FeatureLoader | None = None,
) -> Leaderboard:
    """Turn the records of a run into its leaderboard.

    Every planned video, one for each (variant, clip, seed), counts in the total of its row, whether it was scored,
    failed or never tried; so does a record that was not planned. Each has the same weight in the mean, whatever its
    length. If it was scored under two recipes that share a column, it counts there once.

    Args:
        records: One per key, in any order; see `RunStore.read` and `merge`.
        info: The run.
        level: Nominal coverage of the intervals.
        resamples: Resamples of the bootstrap.
        seed: Seed of the bootstrap.
        warnings: What else a reader should know, e.g. lines that were passed over.
        features: Gives the features that metrics of sets of videos need; without it they have no value.

    Raises:
        ValueError: Two records have one key.
        UsageError: A record refers to a recipe that `info` lacks.
    """
    jobs = _jobs(records, info)
    columns = _columns(info.recipes, {job.recipe for job in jobs})

    def estimate(outcomes: Sequence[_Outcome]) -> Estimate:
        values, people = [o.value for o in outcomes], [o.identity for o in outcomes]
        return mean_estimate(values, people, level=level, resamples=resamples, seed=seed)

    rows = []
    real = [job for job in jobs if job.variant == GROUND_TRUTH]
    for variant in {job.variant for job in jobs}:
        mine = [job for job in jobs if job.variant == variant]
        cells = {
            plan.column.id: _set_cell(units, [job for job in real if job.recipe in plan.recipes], plan, features, level)
            if plan.statistic
            else _cell(units, plan.column.metric, plan.span, estimate)
            for plan in columns
            if (units := [job for job in mine if job.recipe in plan.recipes])
        }
        rows.append(Row(variant=variant, kind=_kind(variant, info), cells=cells))
    return Leaderboard(
        name=_name(info),
        status=info.status,
        level=level,
        columns=tuple(plan.column for plan in columns),
        rows=tuple(sorted(rows, key=lambda row: (KIND_ORDER[row.kind], row.variant))),
        failures=tuple(
            Failure(
                variant=job.variant, clip=job.clip, seed=job.seed, error=job.record.error or "no reason was recorded"
            )
            for job in sorted(jobs, key=lambda job: (job.variant, job.clip, job.seed, job.key))
            if job.record is not None and job.record.status == "failed"
        ),
        not_run=sum(job.record is None for job in jobs),
        warnings=(*warnings, *_warnings(jobs, info)),
        environments=info.environments,
        attempts=len(info.attempts),
        seconds=_seconds(info),
    )


def _jobs(records: Iterable[Record], info: RunInfo) -> list[_Job]:
    """Planned records and unplanned ones, ordered by key."""
    found: dict[str, Record] = {}
    for record in records:
        if record.key in found:
            raise ValueError(f"two records have the key {record.key!r}; take one of each, as RunStore.read does")
        found[record.key] = record
    planned = {entry.key: entry for entry in info.planned}
    return [_job(key, planned.get(key), found.get(key), info) for key in sorted({*planned, *found})]


def _job(key: str, planned: Planned | None, record: Record | None, info: RunInfo) -> _Job:
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
    return _Job(key, source.variant, source.clip, source.identity, source.seed, recipe, record)


class _ColumnPlan(NamedTuple):
    """A column and where it comes from."""

    column: Column
    recipes: frozenset[str]
    span: tuple[float, float]
    statistic: SetStatistic | None


def _columns(recipes: Mapping[str, Recipe], used: set[str]) -> list[_ColumnPlan]:
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
            plans.append(_ColumnPlan(column, frozenset(same_name[identity]), span, metric_info.statistic))
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


def _cell(jobs: Sequence[_Job], metric: str, span: tuple[float, float], estimate: _Estimator) -> Cell:
    outcomes = _outcomes(jobs, metric)
    scored = [outcome for outcome in outcomes if outcome.reason is None]
    missing = Counter(outcome.reason for outcome in outcomes if outcome.reason is not None)
    cell = Cell(
        value=None, scored=len(scored), total=len(outcomes), identities=0, missing=dict(sorted(missing.items()))
    )
    return cell.model_copy(update=_numbers(estimate(scored), span)) if scored else cell


def _set_cell(
    jobs: Sequence[_Job], real: Sequence[_Job], plan: _ColumnPlan, load: FeatureLoader | None, level: float
) -> Cell:
    """The cell of a metric of sets of videos: all videos that have features make one number."""
    statistic = plan.statistic
    if statistic is None:
        raise ValueError(f"{plan.column.metric} is no metric of sets of videos")
    ours, missing = _members(jobs, plan.column.metric, statistic.extractor)
    total = len(ours) + missing.total()
    clips = {job.clip for job in jobs}
    theirs, _ = _members([job for job in real if job.clip in clips], plan.column.metric, statistic.reference)
    cell = Cell(value=None, scored=len(ours), total=total, identities=0, missing=dict(sorted(missing.items())))
    if not ours:
        return cell
    problem = None
    if load is None:
        problem = "features were not read"
    elif not theirs:
        problem = "no real video with features to compare with"
    else:
        # One real video stands for its clip, however many seeds the ground-truth row has.
        one_each = {member.clip: member for member in sorted(theirs, reverse=True)}
        try:
            return _set_numbers(cell, set_number(statistic, ours, list(one_each.values()), load, level=level), plan)
        except DegenerateSetError as error:
            problem = str(error)
    missing[problem] += len(ours)
    return cell.model_copy(update={"scored": 0, "missing": dict(sorted(missing.items()))})


def _set_numbers(cell: Cell, number: SetNumber, plan: _ColumnPlan) -> Cell:
    found: dict[str, object] = {
        "value": number.value,
        "identities": number.identities,
        "note": number.note,
        "remarks": number.remarks,
    }
    if number.low is not None and number.high is not None:
        low, high = plan.span
        found |= {"low": max(number.low, low), "high": min(number.high, high), "method": "jackknife-t"}
    return cell.model_copy(update=found)


def _members(jobs: Sequence[_Job], metric: str, extractor: str) -> tuple[list[Member], Counter[str]]:
    """The videos that have features, one for each (clip, seed), and the reasons of the others."""
    best: dict[tuple[str, int], tuple[tuple[bool, int, str], _Job, str | None]] = {}
    for job in jobs:
        reason = _lack_of_features(job, metric, extractor)
        rank = (reason is None, job.record.attempt if job.record is not None else -1, job.key)
        unit = (job.clip, job.seed)
        if unit not in best or best[unit][0] < rank:
            best[unit] = rank, job, reason
    chosen = [best[unit] for unit in sorted(best)]
    members = [
        Member(job.clip, job.identity, job.key, job.record.features[extractor])
        for _, job, reason in chosen
        if reason is None and job.record is not None
    ]
    return members, Counter(reason for _, _, reason in chosen if reason is not None)


def _lack_of_features(job: _Job, metric: str, extractor: str) -> str | None:
    if job.record is None:
        return NOT_RUN
    if job.record.status == "failed":
        return FAILED
    if metric in job.record.missing:
        return job.record.missing[metric]
    return None if extractor in job.record.features else NOT_RECORDED


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


def _outcomes(jobs: Sequence[_Job], metric: str) -> list[_Outcome]:
    """One outcome for each (clip, seed); of several, a number before a reason, then the later attempt."""
    best: dict[tuple[str, int], tuple[tuple[bool, int, str], _Outcome]] = {}
    for job in jobs:
        outcome = _outcome(job, metric)
        rank = (outcome.reason is None, job.record.attempt if job.record is not None else -1, job.key)
        unit = (job.clip, job.seed)
        if unit not in best or best[unit][0] < rank:
            best[unit] = rank, outcome
    return [best[unit][1] for unit in sorted(best)]


def _outcome(job: _Job, metric: str) -> _Outcome:
    record = job.record
    if record is None:
        return _Outcome(job.identity, math.nan, NOT_RUN)
    if record.status == "failed":
        return _Outcome(job.identity, math.nan, FAILED)
    value = record.values.get(metric)
    if value is None:
        return _Outcome(job.identity, math.nan, record.missing.get(metric, NOT_RECORDED))
    return _Outcome(job.identity, value, NOT_A_NUMBER if math.isnan(value) else None)


def _kind(variant: str, info: RunInfo) -> Kind:
    return info.kinds.get(variant, "ground-truth" if variant == GROUND_TRUTH else "method")


def _name(info: RunInfo) -> str:
    """The suite's name; for `thbench eval` the row's."""
    for field in ("name", "row"):
        if isinstance(name := info.suite.get(field), str):
            return name
    return "run"


def _seconds(info: RunInfo) -> float | None:
    known = [attempt.seconds for attempt in info.attempts if attempt.seconds is not None]
    return math.fsum(known) if known and len(known) == len(info.attempts) else None


def _warnings(jobs: Sequence[_Job], info: RunInfo) -> list[str]:
    """Warnings of videos with their number, values that no column shows, and installations that differ."""
    said = Counter(text for job in jobs if job.record is not None for text in job.record.warnings)
    stray = Counter(
        metric
        for job in jobs
        if job.record is not None
        for metric in job.record.values
        if metric not in info.recipes[job.recipe].metrics
    )
    return [
        *(f"{text} ({videos(count)})" for text, count in sorted(said.items())),
        *(
            f"values of {m!r} are not part of their recipe and are not shown ({videos(n)})"
            for m, n in sorted(stray.items())
        ),
        *_installation_warnings(info.environments),
    ]


def _installation_warnings(environments: Sequence[Environment]) -> list[str]:
    versions = sorted({installation(environment) for environment in environments})
    packages = {canonical_json(environment.packages) for environment in environments}
    found = []
    if len(versions) > 1:
        found.append(f"computed by different versions of thbench: {', '.join(versions)}")
    if len(packages) > 1:
        found.append("computed with different versions of packages; see the environments in run.json")
    return found


def installation(environment: Environment) -> str:
    """Version of thbench with the commit of its source, where it is known."""
    source = environment.source
    if source is None:
        return environment.thbench
    return f"{environment.thbench} (commit {source.commit[:12]}{', modified' if source.dirty else ''})"


def videos(count: int) -> str:
    """A number of videos in words; each (variant, clip, seed) is one."""
    return f"{count} video" if count == 1 else f"{count} videos"


def _word(value: float | str | None) -> str:
    """A setting as text: 25.0 is `25`."""
    if value is None:
        return "each clip's own"
    return f"{value:g}" if isinstance(value, float) else value
