"""What accelerations cost: how much faster each makes its method, against what it changes of each metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from thbench.report.cost_grid import OF_CLIP
from thbench.report.figures.style import INK, PAGE, RULE, SIGNS, SOFT, arms, figure, looks_of, short
from thbench.report.names import base_of, method_of
from thbench.report.tradeoff import axis_title, pareto_front
from thbench.stats.bootstrap import paired_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.figures.style import Look
    from thbench.report.leaderboard import Column, Leaderboard, SpeedUp

METRICS = ("lse-c", "csim", "fvd", "fid", "ssim", "m-lmd")
"""First words of the metrics that are drawn, the first column of each."""


class Point(NamedTuple):
    """One accelerated variant and one metric."""

    variant: str
    speed: SpeedUp
    change: float
    """Of the metric, against the method without acceleration."""
    ends: tuple[float, float] | None
    """Interval of the change over identities, paired by clip; None for numbers of sets."""
    best: bool
    """Nothing else is at least as fast and loses as little, and is better in one."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One panel for each metric, one point for each accelerated variant that was timed."""
    board = data.site.leaderboard
    speeds = {s.variant: s for table in board.costs for s in table.speed_ups if s.measure == OF_CLIP}
    panels = [(column, points(data, column, speeds)) for column in columns(board)]
    panels = [(column, found) for column, found in panels if found]
    if not panels:
        return "no accelerated variant was timed beside the method that it accelerates"
    looks, plans = looks_of(board), plan_signs([p.variant for _, found in panels for p in found])
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    drawing = figure(PAGE, 2.2 * down + 0.55)
    axes = drawing.subplots(down, across, squeeze=False).ravel()
    for (column, found), place in zip(panels, axes, strict=False):
        _panel(place, column, found, looks, plans)
    for place in axes[len(panels) :]:
        place.set_visible(False)
    _legend(drawing, [p.variant for _, found in panels for p in found], looks, plans)
    return {"accelerations": drawing}


def columns(board: Leaderboard) -> list[Column]:
    """The first column with a direction of each of `METRICS`."""
    found = ((head, c) for head in METRICS for c in board.columns if c.metric.partition("/")[0] == head)
    first: dict[str, Column] = {}
    for head, column in found:
        if column.direction != "none" and any(_number(board, r.variant, column) is not None for r in board.rows):
            first.setdefault(head, column)
    return list(first.values())


def points(data: FigureData, column: Column, speeds: Mapping[str, SpeedUp]) -> list[Point]:
    """What every timed variant changes of a metric."""
    board = data.site.leaderboard
    found: dict[str, tuple[SpeedUp, float, tuple[float, float] | None]] = {}
    for variant, speed in speeds.items():
        change = _paired(data, column, variant, speed.baseline)
        if change is None:
            values = [_number(board, name, column) for name in (variant, speed.baseline)]
            if values[0] is None or values[1] is None:
                continue
            change = values[0] - values[1], None
        found[variant] = (speed, *change)
    sign = {"higher": -1.0, "lower": 1.0}.get(column.direction)
    losses = {v: (-s.ratio, abs(change) if sign is None else sign * change) for v, (s, change, _) in found.items()}
    front = pareto_front(losses)
    return [Point(variant, *rest, variant in front) for variant, rest in found.items()]


def plan_signs(variants: Sequence[str]) -> dict[str, str]:
    """Acceleration to sign, the same for every method."""
    plans = dict.fromkeys(plan_of(variant) for variant in variants)
    return {plan: SIGNS[number % len(SIGNS)] for number, plan in enumerate(sorted(plans))}


def plan_of(variant: str) -> str:
    """The accelerations in the name of a variant.

    Example:
        >>> plan_of("hallo@mini+lightningcp+cfg-cache")
        'lightningcp+cfg-cache'
    """
    return variant.removeprefix(base_of(variant) or "").removeprefix("+")


def _number(board: Leaderboard, variant: str, column: Column) -> float | None:
    row = next((row for row in board.rows if row.variant == variant), None)
    cell = None if row is None else row.cells.get(column.id)
    return None if cell is None or cell.value is None or not math.isfinite(cell.value) else cell.value


def _paired(
    data: FigureData, column: Column, variant: str, base: str
) -> tuple[float, tuple[float, float] | None] | None:
    """The mean change over the videos that both have, and its interval; None for numbers of sets."""
    sides: list[dict[tuple[str, int], float]] = []
    people: dict[tuple[str, int], str] = {}
    for name in (variant, base):
        table = data.site.clips.get(name)
        values = () if table is None else table.values.get(column.id, ())
        if table is None or not values:
            return None
        keys = list(zip(table.clips, table.seeds, strict=True))
        people |= dict(zip(keys, table.identities, strict=True))
        sides.append({k: v for k, v in zip(keys, values, strict=True) if v is not None and math.isfinite(v)})
    estimate = paired_difference(sides[0], sides[1], people, level=data.site.leaderboard.level).estimate
    if estimate is None or not math.isfinite(estimate.value):
        return None
    ends = estimate.interval
    finite = ends is not None and math.isfinite(ends.low) and math.isfinite(ends.high)
    return estimate.value, (ends.low, ends.high) if ends is not None and finite else None


def _panel(
    axes: Axes, column: Column, found: Sequence[Point], looks: Mapping[str, Look], plans: Mapping[str, str]
) -> None:
    axes.axhline(0, color=RULE, linewidth=0.9, zorder=1)
    front = sorted((p for p in found if p.best), key=lambda p: p.speed.ratio)
    axes.plot([p.speed.ratio for p in front], [p.change for p in front], color=SOFT, linewidth=1, alpha=0.6, zorder=2)
    for p in found:
        colour = looks[p.variant].colour
        across = None if p.speed.low is None or p.speed.high is None else (p.speed.low, p.speed.high)
        axes.errorbar(
            p.speed.ratio, p.change, xerr=arms(p.speed.ratio, across), yerr=arms(p.change, p.ends), fmt="none",
            ecolor=colour, elinewidth=0.7, alpha=0.45, zorder=2,
        )  # fmt: skip
        axes.plot(
            p.speed.ratio, p.change, plans[plan_of(p.variant)], color=colour, markersize=5.5, markeredgewidth=1.2,
            markerfacecolor=colour if p.best else "white", linestyle="none", zorder=3,
        )  # fmt: skip
    axes.margins(0.12)
    axes.set_xlabel("speed-up ↑")
    axes.set_ylabel("change")
    axes.set_title(axis_title(column), fontsize=8, color=SOFT)


def _legend(drawing: Figure, variants: Sequence[str], looks: Mapping[str, Look], plans: Mapping[str, str]) -> None:
    """Colours of methods and signs of accelerations, below all panels."""
    from matplotlib.lines import Line2D

    colours = {method_of(variant): looks[variant].colour for variant in variants}
    handles = [
        Line2D([], [], color=colour, linewidth=4, label=short(method)) for method, colour in colours.items()
    ] + [
        Line2D([], [], color=INK, marker=sign, markerfacecolor="white", linestyle="none", markersize=5.5,
               label=short(plan)) for plan, sign in plans.items()
    ]  # fmt: skip
    drawing.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7, frameon=False)
