"""How the clips of every variant spread in the headline metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.figures.style import INK, PAGE, SOFT, figure, looks_of, short
from thbench.report.names import family
from thbench.report.tradeoff import axis_title, headlines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.figures.style import Look
    from thbench.report.leaderboard import Column

MOST_METRICS, MOST_VARIANTS = 6, 12


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """A box with the middle half, whiskers to the 5th and 95th percentile, and every clip as a point."""
    board, tables = data.site.leaderboard, data.site.clips
    names = [row.variant for row in board.rows if row.variant in tables][:MOST_VARIANTS]
    columns = [c for c in _columns(data) if any(_values(data, name, c.id) for name in names)][:MOST_METRICS]
    if not columns:
        return "no metric of single clips has values"
    looks = looks_of(board)
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    drawing = figure(PAGE, 0.55 * down + 0.19 * len(names) * down + 0.25)
    axes = drawing.subplots(down, across, squeeze=False, sharey=True).ravel()
    for column, place in zip(columns, axes, strict=False):
        _spread(place, column, {name: _values(data, name, column.id) for name in names}, looks)
    for place in axes[len(columns) :]:
        place.set_visible(False)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    for place in axes:
        place.set_yticks(range(len(names)), [short(name) for name in names])
        place.tick_params(axis="y", length=0)
        place.grid(visible=False, axis="y")
    return {"distributions": drawing}


def _columns(data: FigureData) -> Sequence[Column]:
    """The headline metrics of single clips first, then one of each other family."""
    board = data.site.leaderboard
    chosen = headlines(board)
    families = {family(column.metric) for column in chosen}
    for column in board.columns:
        if column.direction != "none" and family(column.metric) not in families:
            families.add(family(column.metric))
            chosen.append(column)
    return chosen


def _values(data: FigureData, variant: str, column: str) -> list[float]:
    values = data.site.clips[variant].values.get(column, ())
    return [value for value in values if value is not None and math.isfinite(value)]


def _spread(axes: Axes, column: Column, values: Mapping[str, list[float]], looks: Mapping[str, Look]) -> None:
    rng = np.random.default_rng(0)
    for place, (variant, found) in enumerate(values.items()):
        if not found:
            continue
        colour = looks[variant].colour
        if len(found) <= 400:
            heights = place + rng.uniform(-0.24, 0.24, len(found))
            axes.plot(found, heights, ".", color=colour, markersize=3.2, alpha=0.4, markeredgewidth=0, zorder=2)
        low, first, middle, third, high = np.percentile(found, (5, 25, 50, 75, 95))
        axes.plot((low, high), (place, place), color=colour, linewidth=0.9, zorder=3)
        axes.plot(
            (first, third), (place, place), color=colour, linewidth=4.5, alpha=0.55, solid_capstyle="butt", zorder=3
        )
        axes.plot(middle, place, "|", color=INK, markersize=7, markeredgewidth=1.4, zorder=4)
    axes.set_xlabel(axis_title(column), color=SOFT)
    axes.margins(x=0.04)
