"""Speed against quality, and metrics against each other, with what no other method beats in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.figures.style import PAGE, REAL, RULE, SOFT, WARN, arms, figure, looks_of, name_ends
from thbench.report.tradeoff import trade_offs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.figures.style import Look
    from thbench.report.tradeoff import TradeOff

MOST = 6
"""Trade-offs in one figure."""
SPEEDS = frozenset({"speed-up", "real-time factor"})
"""Names of the axes that are of speed."""
MOST_NAMES = 14
"""Names in one panel."""
MOST_BARS = 40
"""Variants beyond which intervals would cover everything."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One figure of speed against every headline metric, and one of these metrics against each other."""
    board = data.site.leaderboard
    found = trade_offs(board)
    parts = {
        "pareto-speed": [one for one in found if one.x.name in SPEEDS][:MOST],
        "pareto": [one for one in found if one.x.name not in SPEEDS][:MOST],
    }
    drawn = {name: _grid(several, looks_of(board)) for name, several in parts.items() if several}
    return drawn or "no two numbers that at least three variants have"


def _grid(several: list[TradeOff], looks: Mapping[str, Look]) -> Figure:
    columns = min(3, len(several)) if len(several) != 4 else 2
    rows = -(-len(several) // columns)
    drawing = figure(PAGE if columns > 1 else PAGE / 2, 2.5 * rows)
    axes = drawing.subplots(rows, columns, squeeze=False).ravel()
    for one, place in zip(several, axes, strict=False):
        _points(place, one, looks)
    for place in axes[len(several) :]:
        place.set_visible(False)
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")
    for one, place in zip(several, axes, strict=False):
        # The dash from the method says whose acceleration it is.
        names = [p.variant.removeprefix(p.base or "") for p in one.points]
        points = [(p.x, p.y, name, p.best) for p, name in zip(one.points, names, strict=True)]
        name_ends(place, points, most=MOST_NAMES)
    return drawing


def _points(axes: Axes, one: TradeOff, looks: Mapping[str, Look]) -> None:
    if one.x.logarithmic:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if one.x.mark is not None:
        axes.axvline(one.x.mark, color=WARN, linewidth=0.9, linestyle=":", zorder=1)
    places = {p.variant: p for p in one.points}
    for p in one.points:
        if p.base is not None:
            base = places[p.base]
            axes.plot((base.x, p.x), (base.y, p.y), color=RULE, linewidth=1, linestyle="--", zorder=1)
    front = sorted((p for p in one.points if p.best), key=lambda p: p.x)
    axes.plot([p.x for p in front], [p.y for p in front], color=SOFT, linewidth=1, alpha=0.6, zorder=2)
    for p in one.points:
        look = looks[p.variant]
        if len(one.points) <= MOST_BARS:
            x_bar, y_bar = arms(p.x, p.x_ends), arms(p.y, p.y_ends)
            axes.errorbar(
                p.x, p.y, xerr=x_bar, yerr=y_bar, fmt="none", ecolor=look.colour, elinewidth=0.7, alpha=0.45, zorder=2
            )
        axes.plot(
            p.x, p.y, look.sign, color=look.colour, markerfacecolor=look.colour if look.filled else "white",
            markeredgewidth=1.3, markersize=8 if look.colour == REAL else 5.5, zorder=3, linestyle="none",
        )  # fmt: skip
    axes.margins(0.16)
    axes.set_xlabel(one.x.title)
    axes.set_ylabel(one.y.title)
