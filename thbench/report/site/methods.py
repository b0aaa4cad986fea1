"""What the page of one variant shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.digits import format_value
from thbench.report.grid import DASH
from thbench.report.names import base_of, method_of, slug
from thbench.report.site.acceleration import accelerations_of, costs_of
from thbench.report.site.histogram import histogram
from thbench.report.standing import real_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from thbench.report.leaderboard import Cell, Column, Failure, Leaderboard
    from thbench.report.site.acceleration import AccelerationView, CostsView
    from thbench.report.site.board import Board, CellView, ColumnView, RowView, Section
    from thbench.report.site.data import Claim, ClipTable, MethodCard, SiteData

MOST_CLIPS = 100
"""Clips whose values stand in the page; the data file has all of them."""


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric of one variant."""

    column: ColumnView
    cell: CellView
    real: str
    """The ground truth's value; empty where it has none or is the row itself."""
    base: str
    """The value without acceleration; empty where there is no such row."""
    picture: Markup | None
    lack: str
    """Why there is no picture."""


@dataclass(frozen=True, slots=True)
class ClipView:
    """One clip of one variant."""

    clip: str
    identity: str
    seed: int
    outcome: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MethodView:
    """All of one variant."""

    variant: str
    kind: str
    section: str
    card: MethodCard | None
    claims: tuple[Claim, ...]
    relatives: tuple[tuple[str, str], ...]
    """Other variants of the same method, with the files of their pages."""
    base: str | None
    """The variant without acceleration, if it is in the table."""
    accelerations: tuple[AccelerationView, ...]
    """What accelerated variants of the method have to show; of an accelerated one its own alone."""
    costs: tuple[CostsView, ...]
    groups: tuple[tuple[str, tuple[MetricView, ...]], ...]
    empty: tuple[MetricView, ...]
    """Metrics without a value."""
    failures: tuple[Failure, ...]
    clip_columns: tuple[ColumnView, ...]
    clips: tuple[ClipView, ...]
    clips_in_all: int
    data_file: str | None


def method_view(row: RowView, section: Section, board: Board, data: SiteData) -> MethodView:
    """Collect what the page of a variant shows."""
    leaderboard, variant = data.leaderboard, row.row.variant
    method = method_of(variant)
    table = data.clips.get(variant)
    base = base_of(variant)
    known = {r.variant for r in leaderboard.rows}
    cells = {c.column.id: view for c, view in zip(board.columns, row.cells, strict=True)}
    base = base if base in known else None

    def metric(column: ColumnView) -> MetricView:
        return _metric(column, cells[column.column.id], row, table, base, leaderboard)

    groups = [
        (group.title, tuple(metric(c) for c in group.columns if row.row.cells.get(c.column.id) is not None))
        for group in board.groups
    ]
    views = [view for _, several in groups for view in several]
    shown = tuple(c for c in board.columns if table is not None and _any(table.values.get(c.column.id)))
    return MethodView(
        variant=variant,
        kind=row.row.kind,
        section=section.title,
        card=data.cards.methods.get(method),
        claims=tuple(c for c in data.claims.claims if c.method == method) if data.claims else (),
        relatives=tuple(
            (r.variant, f"{slug(r.variant)}.html")
            for r in leaderboard.rows
            if r.variant != variant and method_of(r.variant) == method
        ),
        base=base,
        accelerations=accelerations_of(data, _accelerated(variant, leaderboard)),
        costs=costs_of(leaderboard, variant),
        groups=tuple((t, kept) for t, several in groups if (kept := tuple(v for v in several if v.cell.key))),
        empty=tuple(view for view in views if not view.cell.key),
        failures=tuple(f for f in leaderboard.failures if f.variant == variant),
        clip_columns=shown,
        clips=_clips(table, shown) if table is not None else (),
        clips_in_all=len(table.clips) if table is not None else 0,
        data_file=f"../data/clips/{slug(variant)}.json" if table is not None else None,
    )


def _accelerated(variant: str, leaderboard: Leaderboard) -> list[str]:
    """The variant itself if it is accelerated, else those that are it but for an acceleration."""
    if base_of(variant) is not None:
        return [variant]
    return [row.variant for row in leaderboard.rows if base_of(row.variant) == variant]


def _metric(
    column: ColumnView,
    cell: CellView,
    row: RowView,
    table: ClipTable | None,
    base: str | None,
    leaderboard: Leaderboard,
) -> MetricView:
    id_ = column.column.id
    own = row.row.cells.get(id_)
    real = real_value(leaderboard, column.column) if row.row.kind != "ground-truth" else None
    values = table.values.get(id_) if table is not None else None
    mean = own.value if own is not None else None
    return MetricView(
        column=column,
        cell=cell,
        real="" if real is None else format_value(real),
        base=_base_value(leaderboard, base, column.column),
        picture=histogram(values, real, mean) if values else None,
        lack="no clip has a finite value" if values else "one number of all clips" if table is not None else DASH,
    )


def _base_value(leaderboard: Leaderboard, base: str | None, column: Column) -> str:
    cell: Cell | None = leaderboard.row(base).cells.get(column.id) if base is not None else None
    return "" if cell is None or cell.value is None else format_value(cell.value, cell.low, cell.high)


def _any(values: Sequence[float | None] | None) -> bool:
    return values is not None and any(value is not None for value in values)


def _clips(table: ClipTable, columns: Sequence[ColumnView]) -> tuple[ClipView, ...]:
    return tuple(
        ClipView(
            clip=table.clips[i],
            identity=table.identities[i],
            seed=table.seeds[i],
            outcome=table.outcomes[i],
            values=tuple(
                "" if (value := table.values[c.column.id][i]) is None else format_value(value) for c in columns
            ),
        )
        for i in range(min(len(table.clips), MOST_CLIPS))
    )
