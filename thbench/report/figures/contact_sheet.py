"""Frames of one clip side by side: a row for every variant, a column for every instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.figures.style import PAGE, SOFT, figure, looks_of, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from thbench.report.figures.data import ContactSheet, FigureData
    from thbench.report.figures.style import Look

MOST_ROWS = 10
GAP = 0.03
"""Between frames, of the width of a frame."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One sheet for each clip that the site shows."""
    looks = looks_of(data.site.leaderboard)
    drawn = {f"frames-{i}": _sheet(sheet, looks) for i, sheet in enumerate(data.sheets, start=1) if sheet.rows}
    return drawn or data.no_sheets


def _sheet(sheet: ContactSheet, looks: Mapping[str, Look]) -> Figure:
    rows = dict(list(sheet.rows.items())[:MOST_ROWS])
    columns = len(sheet.seconds)
    tall = max((f.shape[0] / f.shape[1] for frames in rows.values() for f in frames), default=1.0)
    width, height = columns * (1 + GAP) - GAP, len(rows) * (tall + GAP) - GAP
    names = [short(variant) for variant in rows]
    beside = 0.1 + 0.062 * max(map(len, names), default=0)
    # Photographs need fewer dots than letters, and would take megabytes.
    drawing = figure(PAGE, (PAGE - beside) / width * height + 0.45, dpi=110)
    axes = drawing.subplots()
    for row, frames in enumerate(rows.values()):
        for column in range(columns):
            left, top = column * (1 + GAP), row * (tall + GAP)
            if column < len(frames):
                _show(axes, frames[column], left, top, tall)
            else:
                axes.fill_between((left, left + 1), top, top + tall, color="#eceef0", linewidth=0)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", anchor="W")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=7, top=True, bottom=False, labeltop=True, labelbottom=False)
    axes.set_xticks([c * (1 + GAP) + 0.5 for c in range(columns)], [f"{second:.2f} s" for second in sheet.seconds])
    axes.set_yticks([r * (tall + GAP) + tall / 2 for r in range(len(rows))], names)
    for label, variant in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(looks[variant].colour)
    axes.set_xlabel(f"clip {short(sheet.clip)}", fontsize=7, color=SOFT)
    return drawing


def _show(axes: Axes, frame: NDArray[np.uint8], left: float, top: float, tall: float) -> None:
    """Put a frame into the middle of a cell of width 1, as large as it fits."""
    ratio = frame.shape[0] / frame.shape[1]
    wide = min(1.0, tall / ratio)
    x, y = left + (1 - wide) / 2, top + (tall - wide * ratio) / 2
    axes.imshow(frame, extent=(x, x + wide, y + wide * ratio, y), interpolation="hanning")
