"""Where the time of a clip goes: the stages of every variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.cost_grid import OF_CLIP, scale_of, speed_up_of
from thbench.report.digits import format_value
from thbench.report.figures.style import COLOURS, INK, PAGE, RULE, SOFT, figure, short
from thbench.report.grid import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.leaderboard import CostTable

STAGE = "time/stage/"
REST = "everything else"
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++", "--")
"""Stages can be told apart without colour."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One figure for each setting in which stages were timed."""
    tables = [t for t in data.site.leaderboard.costs if any(OF_CLIP in row for row in t.rows.values())]
    drawn = {
        f"latency-{number}" if len(tables) > 1 else "latency": _breakdown(table)
        for number, table in enumerate(tables, start=1)
    }
    return drawn or "no costs in this run: thbench time METHOD --json RUN/costs/1.json"


def _breakdown(table: CostTable) -> Figure:
    rows = {variant: row for variant, row in table.rows.items() if OF_CLIP in row}
    scale = scale_of("s", (row[OF_CLIP] for row in rows.values()))
    stages = list(dict.fromkeys(id_ for row in rows.values() for id_ in row if id_.startswith(STAGE)))
    drawing = figure(PAGE, 0.95 + 0.34 * len(rows))
    axes = drawing.subplots()
    for place, (variant, row) in enumerate(rows.items()):
        left = 0.0
        for number, stage in enumerate(stages):
            if stage in row:
                width = row[stage].value / scale.factor
                axes.barh(place, width, 0.62, left, color=COLOURS[number % len(COLOURS)], hatch=HATCHES[number % 8],
                          edgecolor="white", linewidth=0)  # fmt: skip
                left += width
        whole = row[OF_CLIP]
        end = whole.value / scale.factor
        furthest = max(end, left)
        if end > left:
            axes.barh(place, end - left, 0.62, left, color=RULE, linewidth=0)
        if whole.low is not None and whole.high is not None:
            errors = [[end - whole.low / scale.factor], [whole.high / scale.factor - end]]
            axes.errorbar(end, place, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2.5, capthick=1)
            furthest = max(furthest, whole.high / scale.factor)
        _say(axes, table, variant, place, furthest)
    _legend(axes, stages)
    axes.set_yticks(range(len(rows)), [short(variant) for variant in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"time of a clip, {scale.unit}")
    axes.set_title(clean(f"{table.setting['work']}, {table.setting['device']}"), fontweight="normal", color=SOFT)
    axes.margins(x=0.2)
    return drawing


def _say(axes: Axes, table: CostTable, variant: str, place: int, end: float) -> None:
    """What stands at the end of a bar: the real-time factor, and the speed-up."""
    words = []
    factor = table.rows[variant].get("time/real-time-factor")
    if factor is not None:
        words.append(f"{format_value(factor.value, factor.low, factor.high)} of real time")
    up = speed_up_of(table, variant)
    if up is not None:
        words.append(f"{format_value(up.ratio, up.low, up.high)}x")
    axes.annotate("  ".join(words), (end, place), (7, 0), textcoords="offset points", va="center", fontsize=7)


def _legend(axes: Axes, stages: list[str]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=COLOURS[i % len(COLOURS)],
            hatch=HATCHES[i % 8],
            edgecolor="white",
            label=short(stage.removeprefix(STAGE)),
        )
        for i, stage in enumerate(stages)
    ]
    handles.append(Patch(facecolor=RULE, label=REST))
    axes.figure.legend(handles=handles, loc="outside upper center", ncols=min(6, len(handles)))
