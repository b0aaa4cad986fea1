"""How the values of single clips spread: one small picture for each metric."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.digits import format_value
from thbench.report.site.svg import element, join, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

WIDTH, HEIGHT, FOOT = 240.0, 64.0, 14.0
BINS = 24
SLOT = 5.0
"""Pixels between the middles of neighbouring stacks of points."""
FEWEST_FOR_BARS = 60
"""With fewer values every clip is drawn as a point of its own."""


def histogram(values: Sequence[float | None], real: float | None, mean: float | None) -> Markup | None:
    """Draw the finite values with their mean and the ground truth's.

    Args:
        values: One per clip; None and infinities are not drawn.
        real: Mean of the ground truth, drawn as a dashed line where it lies within the picture.
        mean: Mean of the row, drawn as a line.

    Returns:
        The picture, or None if no value is finite.
    """
    found = np.array([value for value in values if value is not None and math.isfinite(value)])
    if not len(found):
        return None
    low, high = float(found.min()), float(found.max())
    margin = (high - low) * 0.04 or abs(high) * 0.05 or 1.0
    span = low - margin, high + margin

    ground = HEIGHT - FOOT
    parts = [element("path", class_="grid", d=f"M0 {ground:g}H{WIDTH:g}")]
    parts.append(_bars(found, span, ground) if len(found) >= FEWEST_FOR_BARS else _points(found, span, ground))
    for value, name in ((real, "real"), (mean, "mean")):
        if value is not None and math.isfinite(value) and span[0] <= value <= span[1]:
            parts.append(element("path", class_=name, d=f"M{number(_across(value, span))} 4V{ground:g}"))
    parts.append(element("text", format_value(low), class_="tick", x=0, y=HEIGHT - 2))
    if high > low:
        parts.append(element("text", format_value(high), class_="tick end", x=WIDTH, y=HEIGHT - 2))
    return element(
        "svg", join(parts), class_="hist", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true", focusable="false"
    )


def _bars(values: NDArray[np.float64], span: tuple[float, float], ground: float) -> Markup:
    counts, _ = np.histogram(values, bins=BINS, range=span)
    step = WIDTH / BINS
    heights = counts / counts.max() * (ground - 8)
    path = "".join(
        f"M{number(i * step + 0.5)} {ground:g}v{number(float(-height))}h{number(step - 1)}V{ground:g}z"
        for i, height in enumerate(heights)
        if height
    )
    return element("path", class_="bars", d=path)


def _points(values: NDArray[np.float64], span: tuple[float, float], ground: float) -> Markup:
    """Points, stacked where they would lie on each other."""
    heights: dict[int, int] = {}
    parts = []
    for value in np.sort(values):
        slot = round(_across(float(value), span) / SLOT)
        level = heights[slot] = heights.get(slot, 0) + 1
        parts.append(element("circle", class_="dot", cx=slot * SLOT, cy=max(ground - 4.5 * level + 1, 3.0), r=2))
    return join(parts)


def _across(value: float, span: tuple[float, float]) -> float:
    return (value - span[0]) / (span[1] - span[0]) * WIDTH
