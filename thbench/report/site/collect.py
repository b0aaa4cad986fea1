"""From records to what the site says beside the leaderboard: the clips of each variant, the cards of its methods."""

from __future__ import annotations

import contextlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from thbench.errors import UsageError
from thbench.registry import METHODS, read_specs
from thbench.report.claims import CLAIMS_FILE, read_claims
from thbench.report.names import method_of
from thbench.report.outcomes import by_variant, columns_of, jobs_of, videos_of
from thbench.report.site.data import Cards, ClipTable, MethodCard
from thbench.spec import MethodSpec

__all__ = ["CLAIMS_FILE", "cards_of", "clip_tables", "read_claims"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thbench.report.leaderboard import Leaderboard
    from thbench.report.outcomes import ColumnPlan, Job, Unit
    from thbench.report.site.data import ClipStatus
    from thbench.run.info import RunInfo
    from thbench.types import Record


def clip_tables(records: Iterable[Record], info: RunInfo) -> dict[str, ClipTable]:
    """The values of every clip by variant, chosen among records exactly as the leaderboard chooses them.

    Args:
        records: One per key, in any order.
        info: The run.
    """
    jobs = jobs_of(records, info)
    plans = columns_of(info.recipes, {job.recipe for job in jobs})
    return {variant: _table(variant, mine, plans) for variant, mine in sorted(by_variant(jobs).items())}


def _table(variant: str, jobs: Sequence[Job], plans: Sequence[ColumnPlan]) -> ClipTable:
    units: dict[Unit, list[Job]] = {}
    for job in jobs:
        units.setdefault(job.unit, []).append(job)
    ordered = sorted(units)
    place_of = {unit: place for place, unit in enumerate(ordered)}
    values: dict[str, tuple[float | None, ...]] = {}
    missing: dict[str, dict[str, tuple[int, ...]]] = {}
    for id_, videos in videos_of(jobs, plans).items():
        found: list[float | None] = [None] * len(ordered)
        places: dict[str, list[int]] = {}
        for i, (unit, value) in enumerate(zip(videos.units, videos.values.tolist(), strict=True)):
            if i in videos.reasons:
                places.setdefault(videos.reasons[i], []).append(place_of[unit])
            else:
                found[place_of[unit]] = value
        values[id_] = tuple(found)
        if places:
            missing[id_] = {reason: tuple(several) for reason, several in sorted(places.items())}
    # Numbers and words as they are; a hundred thousand of them need no second look.
    return ClipTable.model_construct(
        variant=variant,
        clips=tuple(clip for clip, _ in ordered),
        identities=tuple(units[unit][0].identity for unit in ordered),
        seeds=tuple(seed for _, seed in ordered),
        outcomes=tuple(_status(units[unit]) for unit in ordered),
        values=values,
        missing=missing,
    )


def _status(jobs: Sequence[Job]) -> ClipStatus:
    known = {job.record.status for job in jobs if job.record is not None}
    if not known:
        return "not run"
    return "ok" if "ok" in known else "failed"


def cards_of(leaderboard: Leaderboard) -> Cards:
    """The cards of the methods of all rows, as far as they are installed here and can be read."""
    names = {method_of(row.variant) for row in leaderboard.rows}
    specs: dict[str, MethodSpec] = {}
    for point in entry_points(group=METHODS.group):
        if point.name in names:
            # Each alone: a report does not depend on packages that it does not show, nor on a damaged one.
            with contextlib.suppress(UsageError):
                specs |= read_specs([point], MethodSpec, METHODS.noun)
    return Cards(methods={name: _card(specs[name]) for name in sorted(specs)})


def _card(spec: MethodSpec) -> MethodCard:
    same = {name: getattr(spec, name) for name in ("name", "title", "kind", "version", "paper", "licence", "presets")}
    return MethodCard(**same, inputs=tuple(sorted(spec.inputs)), controls=dict(spec.controls))
