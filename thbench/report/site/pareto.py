"""Trade-offs: two columns against each other, with the variants that no other beats in both."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.digits import format_value
from thbench.report.grid import ARROWS, clean
from thbench.report.site.board import cost_of, real_value
from thbench.report.site.names import family
from thbench.report.site.svg import element, join, number, tick_label, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from thbench.report.leaderboard import Column, Leaderboard

HEADLINES = (
    "lse-c",
    "lip-audio-corr",
    "csim",
    "fvd",
    "fid",
    "lpips",
    "ssim",
    "m-lmd",
    "apd",
    "pose-div",
    "beat-align",
)
"""First words of the metrics that stand for their family, the most telling first."""
MOST_PLOTS = 4
WIDTH, HEIGHT = 460.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 18.0, 16.0, 48.0
LABEL_HEIGHT, LABEL_WIDTH = 12.0, 6.4
"""Room that a label needs: pixels, and pixels per character."""
MOST_LABELS = 14
LONGEST_LABEL = 26


@dataclass(frozen=True, slots=True)
class Point:
    """One variant in the plane of two columns."""

    variant: str
    kind: str
    x: float
    y: float
    best: bool
    """No other method is at least as good in both and better in one."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One trade-off, drawn and as numbers."""

    x: Column
    y: Column
    points: tuple[Point, ...]
    picture: Markup
    summary: str


def plots_of(leaderboard: Leaderboard) -> tuple[Plot, ...]:
    """The trade-offs that the columns of this leaderboard allow, at most `MOST_PLOTS`."""
    chosen = _headlines(leaderboard)
    pairs = sorted(itertools.combinations(range(len(chosen)), 2), key=lambda pair: (sum(pair), pair))
    plots = (plot_of(leaderboard, chosen[i], chosen[j]) for i, j in pairs)
    return tuple(itertools.islice((plot for plot in plots if plot is not None), MOST_PLOTS))


def _headlines(leaderboard: Leaderboard) -> list[Column]:
    """One column of each family that has a direction and at least three different values."""
    found: dict[str, Column] = {}
    for head in HEADLINES:
        for column in leaderboard.columns:
            if column.metric.partition("/")[0] != head or column.direction == "none":
                continue
            values = {v for row in leaderboard.rows if (v := _value(leaderboard, row.variant, column)) is not None}
            if len(values) >= 3:
                found.setdefault(family(column.metric), column)
                break
    return list(found.values())


def _value(leaderboard: Leaderboard, variant: str, column: Column) -> float | None:
    cell = leaderboard.row(variant).cells.get(column.id)
    return cell.value if cell is not None and cell.value is not None and math.isfinite(cell.value) else None


def plot_of(leaderboard: Leaderboard, x: Column, y: Column) -> Plot | None:
    """One trade-off; None with fewer than three variants that have both values."""
    raw = [
        (row.variant, row.kind, vx, vy)
        for row in leaderboard.rows
        if (cx := row.cells.get(x.id)) is not None
        and (cy := row.cells.get(y.id)) is not None
        and (vx := cx.value) is not None
        and (vy := cy.value) is not None
        and math.isfinite(vx)
        and math.isfinite(vy)
    ]
    if len(raw) < 3:
        return None
    real_x, real_y = real_value(leaderboard, x), real_value(leaderboard, y)
    costs = {v: (cost_of(a, x, real_x), cost_of(b, y, real_y)) for v, kind, a, b in raw if kind != "ground-truth"}
    competing = {v: costs[v] for v, kind, _, _ in raw if kind == "method"} or costs
    front = pareto_front(competing)
    points = tuple(Point(v, kind, a, b, v in front) for v, kind, a, b in raw)
    best = ", ".join(clean(p.variant) for p in points if p.best) or "none"
    return Plot(x, y, points, _draw(x, y, points), f"{len(points)} variants; not beaten in both: {best}")


def pareto_front(costs: dict[str, tuple[float, float]]) -> set[str]:
    """Names whose costs no other is at most in both and below in one.

    Example:
        >>> sorted(pareto_front({"a": (0, 2), "b": (1, 1), "c": (1, 2)}))
        ['a', 'b']
    """
    front: set[str] = set()
    least = math.inf
    ordered = sorted(costs, key=lambda name: costs[name])
    for _, several in itertools.groupby(ordered, key=lambda name: costs[name][0]):
        group = list(several)
        lowest = costs[group[0]][1]
        if lowest < least:
            front |= {name for name in group if costs[name][1] == lowest}
            least = lowest
    return front


def _draw(x: Column, y: Column, points: Sequence[Point]) -> Markup:
    across = _axis([p.x for p in points])
    up = _axis([p.y for p in points])

    def place(point: Point) -> tuple[float, float]:
        right = LEFT + (point.x - across[0]) / (across[1] - across[0]) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (point.y - up[0]) / (up[1] - up[0]) * (HEIGHT - TOP - BOTTOM)
        return right, down

    places = {p.variant: place(p) for p in points}
    parts = [*_grid(across, up), *_titles(x, y)]
    front = sorted((p for p in points if p.best), key=lambda p: p.x)
    if len(front) > 1:
        path = "M" + "L".join(f"{number(a)} {number(b)}" for a, b in (places[p.variant] for p in front))
        parts.append(element("path", class_="front", d=path))
    parts += [_mark(p, *places[p.variant]) for p in sorted(points, key=lambda p: p.best)]
    parts += _labels(points, places)
    return element(
        "svg", join(parts), class_="plot", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true", focusable="false"
    )


def _axis(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _grid(across: tuple[float, float], up: tuple[float, float]) -> list[Markup]:
    parts = []
    marks = ticks(*across)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for value in marks:
        at = LEFT + (value - across[0]) / (across[1] - across[0]) * (WIDTH - LEFT - RIGHT)
        parts.append(element("path", class_="grid", d=f"M{number(at)} {TOP}V{HEIGHT - BOTTOM}"))
        parts.append(element("text", tick_label(value, step), class_="tick mid", x=at, y=HEIGHT - BOTTOM + 15))
    marks = ticks(*up)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for value in marks:
        at = HEIGHT - BOTTOM - (value - up[0]) / (up[1] - up[0]) * (HEIGHT - TOP - BOTTOM)
        parts.append(element("path", class_="grid", d=f"M{LEFT} {number(at)}H{WIDTH - RIGHT}"))
        parts.append(element("text", tick_label(value, step), class_="tick end", x=LEFT - 7, y=at + 3.5))
    return parts


def _titles(x: Column, y: Column) -> list[Markup]:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    turn = f"rotate(-90 14 {middle:g})"
    return [
        element("text", axis_title(x), class_="axis mid", x=LEFT + (WIDTH - LEFT - RIGHT) / 2, y=HEIGHT - 10),
        element("text", axis_title(y), class_="axis mid", x=14, y=middle, transform=turn),
    ]


def axis_title(column: Column) -> str:
    """Name, unit and direction of an axis."""
    unit = "" if column.unit == "1" else f" ({column.unit})"
    return clean(f"{column.id}{unit} {ARROWS[column.direction]}".strip())


def _mark(point: Point, x: float, y: float) -> Markup:
    """The shape tells the kind, so that colour is never alone in telling it."""
    kind = f"mark {point.kind}{' best' if point.best else ''}"
    title = element("title", f"{clean(point.variant)}: {format_value(point.x)}, {format_value(point.y)}")
    if point.kind == "ground-truth":
        return element("path", title, class_=kind, d=f"M{number(x)} {number(y - 6)}l6 6l-6 6l-6 -6z")
    if point.kind == "baseline":
        return element("rect", title, class_=kind, x=x - 4, y=y - 4, width=8, height=8)
    return element("circle", title, class_=kind, cx=x, cy=y, r=5)


def _labels(points: Sequence[Point], places: dict[str, tuple[float, float]]) -> list[Markup]:
    """Names beside their marks where there is room: those of the front first, at most `MOST_LABELS`."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places.values()]
    parts: list[Markup] = []
    for point in sorted(points, key=lambda p: (not p.best, p.kind == "method", p.variant)):
        if len(parts) == MOST_LABELS:
            break
        name = clean(point.variant)
        name = name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
        x, y = places[point.variant]
        width = len(name) * LABEL_WIDTH
        for left, base in ((x + 9, y + 4), (x - 9 - width, y + 4), (x - width / 2, y - 10), (x - width / 2, y + 18)):
            box = (left, base - LABEL_HEIGHT + 2, left + width, base + 2)
            inside = box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                parts.append(element("text", name, class_=f"name{' best' if point.best else ''}", x=left, y=base))
                break
    return parts


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
