"""Frames of one clip side by side: a row for every variant, a column for every instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.figures.style import PAGE, SOFT, figure, looks_of, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from thbench.report.figures.data import ContactSheet, FigureData
    from thbench.report.figures.style import Look

MOST_ROWS = 10


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One sheet for each clip that the site shows."""
    looks = looks_of(data.site.leaderboard)
    drawn = {f"frames-{i}": _sheet(sheet, looks) for i, sheet in enumerate(data.sheets, start=1) if sheet.rows}
    return drawn or data.no_sheets


def _sheet(sheet: ContactSheet, looks: Mapping[str, Look]) -> Figure:
    rows = dict(list(sheet.rows.items())[:MOST_ROWS])
    columns = len(sheet.seconds)
    label = 1.15
    side = (PAGE - label) / columns
    # Photographs need fewer dots than letters, and would take megabytes.
    drawing = figure(PAGE, side * len(rows) + 0.3, dpi=110)
    drawing.set_layout_engine("constrained", w_pad=0.012, h_pad=0.012, wspace=0, hspace=0)
    axes = drawing.subplots(len(rows), columns, squeeze=False)
    for (variant, frames), line in zip(rows.items(), axes, strict=True):
        for place, axis in enumerate(line):
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            if place < len(frames):
                axis.imshow(frames[place], interpolation="lanczos")
            else:
                axis.set_facecolor("#eceef0")
        line[0].set_ylabel(
            short(variant), rotation=0, ha="right", va="center", fontsize=7, color=looks[variant].colour, labelpad=4
        )
    for axis, second in zip(axes[0], sheet.seconds, strict=True):
        axis.set_title(f"{second:.2f} s", fontsize=7, fontweight="normal", color=SOFT, loc="center", pad=3)
    drawing.supxlabel(f"clip {short(sheet.clip)}", fontsize=7, color=SOFT)
    return drawing
