"""Whether metrics do what is expected of them: every metric of the table under every degradation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.figures.style import INK, PAGE, SOFT, WARN, figure, short
from thbench.validate.verdicts import shipped_verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.validate.document import MetricVerdict, Response, Validation

SIGNS = {"rises": "▲", "falls": "▼", "ignores": "●"}
LONGEST = 44
"""Characters of a metric's name."""
MOST = 60
"""Metrics in one figure."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """The whole validation where it was given, else how many expectations hold."""
    wanted = {column.protocol_id for column in data.site.leaderboard.columns}
    if data.validation is not None:
        rows = [v for v in data.validation.verdicts if v.protocol_id in wanted and _measured(v, data.validation)]
        if rows:
            return {"validity": _matrix(rows[:MOST], data.validation)}
    verdicts = [verdict for verdict in shipped_verdicts() if verdict.protocol_id in wanted]
    return {"validity": _bars(verdicts[:MOST])} if verdicts else "no metric of this table was validated"


def _measured(verdict: MetricVerdict, validation: Validation) -> bool:
    return any(r.clips for r in validation.responses if r.metric == verdict.metric)


def _matrix(rows: Sequence[MetricVerdict], validation: Validation) -> Figure:
    columns = [d.name for d in validation.degradations]
    place = {verdict.metric: number for number, verdict in enumerate(rows)}
    image = np.full((len(rows), len(columns)), math.nan)
    drawing = figure(PAGE, 1.3 + 0.155 * len(rows))
    axes = drawing.subplots()
    for response in validation.responses:
        if response.metric in place:
            x, y = columns.index(response.degradation), place[response.metric]
            image[y, x] = _correlation(response)
            _sign(axes, x, y, response)
    axes.set_facecolor("#eceef0")
    shown = axes.imshow(image, cmap="RdBu_r", vmin=-1.5, vmax=1.5, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), columns, rotation=55, ha="right", rotation_mode="anchor", fontsize=6)
    axes.set_yticks(range(len(rows)), [short(verdict.metric, LONGEST) for verdict in rows], fontsize=6)
    for label, verdict in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(WARN if verdict.verdict == "fails" else INK)
    axes.set_xticks(np.arange(0.5, len(columns) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    axes.grid(visible=False, which="major")
    axes.grid(visible=True, which="minor", color="white", linewidth=0.9)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    bar = drawing.colorbar(shown, ax=axes, shrink=0.5, pad=0.01, aspect=25)
    bar.ax.set_ylim(-1, 1)
    bar.ax.spines["outline"].set_visible(False)
    bar.set_label("rank correlation of dose and value", fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
    axes.set_title(
        "▲ must rise   ▼ must fall   ● must stay   boxed: does not   grey: no response", fontsize=7, fontweight="normal"
    )
    return drawing


def _correlation(response: Response) -> float:
    """Grey (NaN) where nothing changes, or where what must stay stays."""
    if response.rho is None or (response.expected == "ignores" and response.verdict == "holds"):
        return math.nan
    return response.rho


def _sign(axes: Axes, x: int, y: int, response: Response) -> None:
    from matplotlib.patches import Rectangle

    if response.expected is None:
        return
    strong = abs(_correlation(response)) > 0.7
    axes.text(x, y, SIGNS[response.expected], ha="center", va="center", fontsize=4.5, color="white" if strong else SOFT)
    if response.verdict == "fails":
        axes.add_patch(
            Rectangle((x - 0.42, y - 0.4), 0.84, 0.8, fill=False, edgecolor="#e69f00", linewidth=1.3, zorder=3)
        )


def _bars(verdicts: Sequence[MetricVerdict]) -> Figure:
    drawing = figure(PAGE, 0.8 + 0.155 * len(verdicts))
    axes = drawing.subplots()
    parts = (
        ("holds", [v.held for v in verdicts], "#0072b2", ""),
        ("fails", [v.failed for v in verdicts], "#d55e00", "//"),
        ("not measured", [v.expected - v.held - v.failed for v in verdicts], "#dfe3e7", ""),
    )
    left = np.zeros(len(verdicts))
    for name, widths, colour, hatch in parts:
        axes.barh(range(len(verdicts)), widths, 0.7, left, color=colour, hatch=hatch, edgecolor="white", label=name)
        left += np.array(widths)
    axes.set_yticks(range(len(verdicts)), [short(v.metric, LONGEST) for v in verdicts], fontsize=6)
    axes.set_ylim(len(verdicts) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("expectations of thbench validate-metrics")
    drawing.legend(loc="outside upper center", ncols=3)
    return drawing
