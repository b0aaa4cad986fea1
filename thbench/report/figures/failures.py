"""What has no value: the share of the videos of every variant that lack each metric, and the main reason."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.figures.style import INK, PAGE, SOFT, figure, short
from thbench.report.grid import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from thbench.report.figures.data import FigureData
    from thbench.report.leaderboard import Leaderboard

MOST_ROWS, MOST_COLUMNS, MOST_REASONS = 40, 20, 12


def draw(data: FigureData) -> Mapping[str, Figure] | str:
    """A matrix of metrics and variants; a number is how many videos lack the metric, a letter why most of them do."""
    board = data.site.leaderboard
    variants = [row.variant for row in board.rows][:MOST_COLUMNS]
    cells = {(row.variant, id_): cell for row in board.rows for id_, cell in row.cells.items()}
    lacking = [
        column.id
        for column in board.columns
        if any((cell := cells.get((variant, column.id))) is not None and cell.missing for variant in variants)
    ]
    nowhere = [id_ for id_ in lacking if not any(c.scored for (_, column), c in cells.items() if column == id_)]
    shown = [id_ for id_ in lacking if id_ not in nowhere][:MOST_ROWS]
    if not shown:
        return "every video has every metric that could be computed here" if lacking else "nothing is missing"
    letters = dict(zip(_reasons(board, shown), map(chr, range(ord("a"), ord("a") + MOST_REASONS)), strict=False))
    image = np.full((len(shown), len(variants)), np.nan)
    drawing = figure(PAGE, 1.2 + 0.19 * len(shown) + 0.14 * len(letters))
    axes = drawing.subplots()
    for (y, id_), (x, variant) in itertools.product(enumerate(shown), enumerate(variants)):
        cell = cells.get((variant, id_))
        if cell is None or not cell.total:
            continue
        lost = cell.total - cell.scored
        image[y, x] = lost / cell.total
        if lost:
            main = max(cell.missing, key=lambda reason: (cell.missing[reason], reason))
            dark = image[y, x] > 0.55
            text = f"{lost} {letters.get(main, '')}"
            axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color="white" if dark else INK)
    axes.set_facecolor("#f4f5f4")
    picture = axes.imshow(image, cmap="Oranges", vmin=0, vmax=1.15, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(variants)), [short(v) for v in variants], rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(shown)), [short(id_, 44) for id_ in shown], fontsize=6.5)
    axes.set_xticks(np.arange(0.5, len(variants) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(shown) - 1), minor=True)
    axes.grid(visible=False, which="major")
    axes.grid(visible=True, which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    bar = drawing.colorbar(picture, ax=axes, shrink=0.6, pad=0.01, aspect=25, format="{x:.0%}")
    bar.ax.set_ylim(0, 1)
    bar.ax.spines["outline"].set_visible(False)
    bar.set_label("videos without the metric")
    words = [f"{letter}  {_line(reason)}" for reason, letter in letters.items()]
    if nowhere:
        words.append(f"left out: {len(nowhere)} metric{'' if len(nowhere) == 1 else 's'} that no video has")
    drawing.supxlabel("\n".join(words), x=0.02, ha="left", fontsize=6.5, color=SOFT)
    return {"failures": drawing}


def _reasons(board: Leaderboard, shown: list[str]) -> Iterator[str]:
    """The most frequent first."""
    found: Counter[str] = Counter()
    for row in board.rows:
        for id_ in shown:
            if id_ in row.cells:
                found.update(row.cells[id_].missing)
    return (reason for reason, _ in found.most_common(MOST_REASONS))


def _line(text: str) -> str:
    text = clean(text).replace("$", r"\$")
    return text if len(text) <= 110 else f"{text[:109]}…"
