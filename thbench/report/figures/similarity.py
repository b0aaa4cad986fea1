"""How alike the cached features of all denoising steps are, and which steps are key steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.report.figures.style import COLOURS, PAGE, SOFT, WARN, figure, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from thbench.accel.calibrate import Calibration
    from thbench.report.figures.data import FigureData

MOST = 4
"""Calibrated presets in one figure."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """A row for each calibrated preset: similarity of all pairs of steps, and the change from step to step."""
    found = data.inputs.calibrations[:MOST]
    if not found:
        return "no variant of this run has a calibration: thbench time METHOD --calibrate"
    drawing = figure(PAGE, 2.3 * len(found) + 0.2)
    rows = drawing.subplots(len(found), 2, squeeze=False, width_ratios=(1, 1.7))
    for calibration, (table, line) in zip(found, rows, strict=True):
        similar = np.array(calibration.cosines)
        shown = table.imshow(similar, origin="lower", interpolation="nearest", vmax=1.0)
        table.grid(visible=False)
        table.set(xlabel="denoising step", ylabel="denoising step")
        table.set_title(short(calibration.method))
        bar = drawing.colorbar(shown, ax=table, shrink=0.9, pad=0.02)
        bar.set_label("cosine similarity")
        bar.ax.spines["outline"].set_visible(False)
        _changes(line, calibration)
    return {"similarity": drawing}


def _changes(axes: object, calibration: Calibration) -> None:
    from matplotlib.axes import Axes

    if not isinstance(axes, Axes):
        return
    steps = calibration.steps
    changes = [calibration.distances[i][i + 1] for i in range(steps - 1)]
    for place, key in enumerate(calibration.key_steps):
        axes.axvline(key, color=WARN, alpha=0.55, linewidth=1, zorder=1, label="key steps" if place == 0 else None)
    axes.plot(range(1, steps), changes, marker="o", markersize=3, color=COLOURS[0], label="change from the step before")
    held = [calibration.distances[max(k for k in calibration.key_steps if k <= step)][step] for step in range(steps)]
    axes.plot(range(steps), held, color=COLOURS[1], linestyle="--", label="change from the key step that is kept")
    axes.set(xlabel="denoising step", ylabel="relative change (L2)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    axes.set_title(f"{len(calibration.key_steps)} of {steps} steps in full", color=SOFT, fontweight="normal")
