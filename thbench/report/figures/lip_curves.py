"""Distance of lips and sound over the shift between them: a well synchronised video has one deep valley at 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.report.figures.style import COLUMN, PAGE, SOFT, figure, looks_of, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData

MOST = 10
"""Variants in one figure."""


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """One panel for each protocol, mean over clips with its interval over identities."""
    curves = data.inputs.lip_curves
    if not curves:
        return data.inputs.missing.get("lip-curves", "no lip-sync metric kept its distances")
    protocols = list(dict.fromkeys(curve.protocol for curve in curves))
    looks = looks_of(data.site.leaderboard)
    width = COLUMN + 1.2 if len(protocols) == 1 else PAGE
    drawing = figure(width, 2.6)
    axes = drawing.subplots(1, len(protocols), squeeze=False).ravel()
    for protocol, place in zip(protocols, axes, strict=True):
        for curve in [c for c in curves if c.protocol == protocol][:MOST]:
            look = looks[curve.variant]
            place.fill_between(curve.shifts, curve.low, curve.high, color=look.colour, alpha=0.12, linewidth=0)
            place.plot(curve.shifts, curve.mean, color=look.colour, linestyle=look.dash, label=short(curve.variant))
        place.axvline(0, color=SOFT, linewidth=0.7, zorder=1)
        place.set_title(f"lse/{protocol}")
        place.set_xlabel("sound moved by, frames")
    axes[0].set_ylabel("mean distance")
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return {"lip-curves": drawing}
