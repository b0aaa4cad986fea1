"""A validation as a figure: every metric against every degradation. Needs matplotlib."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from thbench.validate.document import Response, Validation

NO_FIGURE = "no figure: matplotlib is not installed; run: pip install 'thbench[report]'"
GREY = "#e8e8e8"
_SIGNS = {"rises": "\u25b2", "falls": "\u25bc", "ignores": "\u25cf"}


def can_draw() -> bool:
    """Whether matplotlib is installed; it is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(validation: Validation, stem: Path) -> tuple[Path, ...]:
    """Write the figure as PDF and PNG.

    Args:
        validation: What to show.
        stem: Path without ending.

    Returns:
        The files; none if nothing was measured.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    columns = [d.name for d in validation.degradations]
    rows = [v for v in validation.verdicts if any(r.clips for r in validation.responses if r.metric == v.metric)]
    if not rows:
        return ()
    figure = Figure(figsize=(3.2 + 0.36 * len(columns), 2.2 + 0.22 * len(rows)), layout="constrained")
    FigureCanvasPdf(figure)
    axes = figure.add_subplot()
    place = {v.metric: number for number, v in enumerate(rows)}
    image = [[math.nan] * len(columns) for _ in rows]
    for r in validation.responses:
        if r.metric in place:
            image[place[r.metric]][columns.index(r.degradation)] = _colour(r)
            _mark(axes, columns.index(r.degradation), place[r.metric], r)
    axes.set_facecolor(GREY)
    shown = axes.imshow(image, cmap="RdBu_r", vmin=-1.6, vmax=1.6, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(rows)), [v.metric for v in rows], fontsize=7)
    for label, verdict in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color("#c00000" if verdict.verdict == "fails" else "black")
    axes.set_xticks([x - 0.5 for x in range(1, len(columns))], minor=True)
    axes.set_yticks([y - 0.5 for y in range(1, len(rows))], minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    bar = figure.colorbar(shown, ax=axes, shrink=0.4, pad=0.01)
    bar.ax.set_ylim(-1, 1)
    bar.set_label("Spearman correlation of dose and value", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    axes.set_title(
        "\u25b2 must rise   \u25bc must fall   \u25cf must stay   boxed: does not (metric in red)   grey: no response",
        fontsize=8,
        loc="left",
    )
    files = (stem.with_suffix(".pdf"), stem.with_suffix(".png"))
    figure.savefig(files[0], metadata={"CreationDate": None})
    figure.savefig(files[1], dpi=150, metadata={"Software": None})
    return files


def _colour(r: Response) -> float:
    """The correlation; grey (NaN) where nothing changes, or where what must stay stays."""
    if r.rho is None or (r.expected == "ignores" and r.verdict == "holds"):
        return math.nan
    return r.rho


def _mark(axes: object, x: int, y: int, r: Response) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    if r.expected is None or not isinstance(axes, Axes):
        return
    strong = _colour(r) == _colour(r) and abs(_colour(r)) > 0.7
    axes.text(x, y, _SIGNS[r.expected], ha="center", va="center", fontsize=6, color="white" if strong else "#404040")
    if r.verdict == "fails":
        box = Rectangle((x - 0.44, y - 0.42), 0.88, 0.84, fill=False, edgecolor="#ffb000", linewidth=1.8, zorder=3)
        axes.add_patch(box)
