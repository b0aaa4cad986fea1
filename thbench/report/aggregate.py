"""From records to a leaderboard: a pure function, whatever the order and the sharding of the records."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from thbench.report.cells import score_rows
from thbench.report.costs import cost_tables
from thbench.report.leaderboard import Failure, Leaderboard, Row
from thbench.report.outcomes import columns_of, jobs_of
from thbench.report.ranking import rank
from thbench.report.stand_ins import with_differences
from thbench.run.hashing import canonical_json
from thbench.stats.bootstrap import LEVEL, RESAMPLES
from thbench.types import GROUND_TRUTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thbench.cost.record import CostRecord
    from thbench.report.outcomes import Job
    from thbench.report.sets import FeatureLoader
    from thbench.run.info import Environment, Kind, RunInfo
    from thbench.types import Record

KIND_ORDER: Mapping[Kind, int] = {"ground-truth": 0, "baseline": 1, "method": 2}


def aggregate(
    records: Iterable[Record],
    info: RunInfo,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    warnings: Sequence[str] = (),
    features: FeatureLoader | None = None,
    costs: Sequence[CostRecord] = (),
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
        costs: Cost records of the run.

    Raises:
        ValueError: Two records have one key.
        UsageError: A record refers to a recipe that `info` lacks.
    """
    jobs = jobs_of(records, info)
    columns = columns_of(info.recipes, {job.recipe for job in jobs})

    scored_rows = score_rows(jobs, columns, features, level=level, resamples=resamples, seed=seed)
    table = with_differences(scored_rows, columns)
    rows = [
        Row(variant=variant, kind=_kind(variant, info), cells={id_: one.cell for id_, one in scored.items()})
        for variant, scored in table.items()
    ]
    competing = {row.variant: table[row.variant] for row in rows if row.kind == "method"}
    ranking = rank([plan.column for plan in columns], competing, level=level)
    return Leaderboard(
        name=_name(info),
        status=info.status,
        level=level,
        columns=tuple(ranking.columns),
        rows=tuple(sorted(map(ranking.ranked, rows), key=lambda row: (KIND_ORDER[row.kind], row.variant))),
        comparisons=ranking.comparisons,
        failures=tuple(
            Failure(
                variant=job.variant, clip=job.clip, seed=job.seed, error=job.record.error or "no reason was recorded"
            )
            for job in sorted(jobs, key=lambda job: (job.variant, job.clip, job.seed, job.key))
            if job.record is not None and job.record.status == "failed"
        ),
        not_run=sum(job.record is None for job in jobs),
        warnings=(*warnings, *_warnings(jobs, info)),
        costs=cost_tables(costs, level=level),
        environments=info.environments,
        attempts=len(info.attempts),
        seconds=_seconds(info),
    )


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


def _warnings(jobs: Sequence[Job], info: RunInfo) -> list[str]:
    """Warnings of videos with their number, values that no column shows, and installations that differ."""
    said = Counter(text for job in jobs if job.record is not None for text in job.record.warnings)
    stray = Counter(
        metric
        for job in jobs
        if job.record is not None
        for metric in job.record.values.keys() - info.recipes[job.recipe].metrics.keys()
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
