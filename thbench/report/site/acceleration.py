"""What the pages say of costs and of accelerations: speed-ups, receipts, and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.cost_grid import OF_CLIP, cost_notes, kinds_of, lay_out_costs, setting_text, speed_up_of
from thbench.report.digits import format_interval, format_value
from thbench.report.grid import DASH
from thbench.report.names import base_of, slug
from thbench.report.receipts import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thbench.report.grid import Grid
    from thbench.report.leaderboard import Leaderboard, SpeedUp
    from thbench.report.receipts import ReceiptSummary
    from thbench.report.site.data import SiteData

MOST_COLUMNS = 9
"""Costs beside each other."""


@dataclass(frozen=True, slots=True)
class CostsView:
    """One table of costs, ready to print."""

    setting: tuple[tuple[str, str], ...]
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]


def costs_of(leaderboard: Leaderboard, variant: str | None = None) -> tuple[CostsView, ...]:
    """The tables of costs, or what they say of one variant."""
    found = []
    for table in leaderboard.costs:
        if variant is not None and variant not in table.rows:
            continue
        own = table if variant is None else table.model_copy(update={"rows": {variant: table.rows[variant]}})
        grids = lay_out_costs(own, kinds_of(leaderboard), MOST_COLUMNS)
        found.append(CostsView(tuple(table.setting.items()), grids, tuple(cost_notes(table))))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class AccelerationView:
    """What one accelerated variant has to show, ready to print."""

    variant: str
    name: str
    """The accelerations alone."""
    href: str
    base: str
    speed_up: str
    interval: str
    where: str
    """Setting of the speed-up."""
    operations: str
    cached: str
    evaluations: str
    latent: str
    psnr: str
    ssim: str
    lpips: str
    receipt: ReceiptSummary | None


def accelerations_of(data: SiteData, method_variants: Sequence[str]) -> tuple[AccelerationView, ...]:
    """The accelerated ones among some variants, as far as anything was measured of them beside quality."""
    return tuple(view for variant in method_variants if (view := _view(data, variant)) is not None)


def _view(data: SiteData, variant: str) -> AccelerationView | None:
    base = base_of(variant)
    receipts = [r for r in data.receipts.receipts if r.variant == variant] if data.receipts else []
    found, ups = summary_of(receipts), list(_speed_ups(data.leaderboard, variant))
    if base is None or (found is None and not ups):
        return None
    up, where = ups[0] if ups else (None, "")
    known = up is not None and up.low is not None and up.high is not None

    def shown(value: float | None, form: str = "") -> str:
        return DASH if value is None else format(value, form) if form else format_value(value)

    return AccelerationView(
        variant=variant,
        name=variant.removeprefix(base),
        href=f"{slug(variant)}.html",
        base=base,
        speed_up=DASH if up is None else f"{format_value(up.ratio, up.low, up.high)}x",
        interval=format_interval(up.ratio, up.low or 0.0, up.high or 0.0) if up is not None and known else "",
        where=where,
        operations=DASH if found is None else f"{found.flop_ratio:.2f}x fewer",
        cached=shown(found.cached if found else None, ".0%"),
        evaluations=DASH if found is None else f"{found.evaluations:.3g} for {found.steps[1]} steps",
        latent=shown(found.latent_change if found else None, ".3g"),
        psnr=shown(found.psnr if found else None, ".1f"),
        ssim=shown(found.ssim if found else None, ".3f"),
        lpips=shown(found.lpips if found else None, ".3f"),
        receipt=found,
    )


def _speed_ups(leaderboard: Leaderboard, variant: str) -> Iterator[tuple[SpeedUp, str]]:
    for table in leaderboard.costs:
        if (found := speed_up_of(table, variant, OF_CLIP)) is not None:
            yield found, setting_text(table)
