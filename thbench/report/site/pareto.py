"""Trade-offs as pictures of the site."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thbench.report.digits import format_value
from thbench.report.grid import clean
from thbench.report.site.svg import element, join, log_ticks, number, tick_label, ticks
from thbench.report.tradeoff import Axis, Point, TradeOff, trade_offs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from thbench.report.leaderboard import Leaderboard

MOST_PLOTS = 6
WIDTH, HEIGHT = 460.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 18.0, 16.0, 48.0
LABEL_HEIGHT, LABEL_WIDTH = 12.0, 6.4
"""Room that a label needs: pixels, and pixels per character."""
MOST_LABELS = 14
LONGEST_LABEL = 26


@dataclass(frozen=True, slots=True)
class Plot:
    """One trade-off, drawn and as numbers."""

    data: TradeOff
    picture: Markup


def plots_of(leaderboard: Leaderboard) -> tuple[Plot, ...]:
    """The first `MOST_PLOTS` trade-offs that this leaderboard allows."""
    return tuple(Plot(one, _draw(one)) for one in trade_offs(leaderboard)[:MOST_PLOTS])


@dataclass(frozen=True, slots=True)
class _Scale:
    """From numbers to pixels."""

    low: float
    high: float
    start: float
    length: float
    logarithmic: bool

    def at(self, value: float) -> float:
        low, high, x = (
            (math.log(v) for v in (self.low, self.high, value)) if self.logarithmic else (self.low, self.high, value)
        )
        return self.start + (x - low) / (high - low) * self.length

    def ticks(self) -> Sequence[tuple[float, str]]:
        if self.logarithmic:
            return [(value, f"{value:g}") for value in log_ticks(self.low, self.high)]
        marks = ticks(self.low, self.high)
        step = marks[1] - marks[0] if len(marks) > 1 else 0.0
        return [(value, tick_label(value, step)) for value in marks]


def _scale(axis: Axis, values: Sequence[float], start: float, length: float) -> _Scale:
    low, high = min(values), max(values)
    if axis.logarithmic:
        margin = (high / low) ** 0.12 if high > low else 1.5
        return _Scale(low / margin, high * margin, start, length, logarithmic=True)
    margin = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
    return _Scale(low - margin, high + margin, start, length, logarithmic=False)


def _draw(data: TradeOff) -> Markup:
    points = data.points
    across = _scale(data.x, [p.x for p in points], LEFT, WIDTH - LEFT - RIGHT)
    up = _scale(data.y, [p.y for p in points], HEIGHT - BOTTOM, -(HEIGHT - TOP - BOTTOM))
    places = {p.variant: (across.at(p.x), up.at(p.y)) for p in points}
    parts = [*_grid(across, up), *_titles(data)]
    if data.x.mark is not None and across.low < data.x.mark < across.high:
        at = number(across.at(data.x.mark))
        parts.append(element("path", class_="limit", d=f"M{at} {TOP}V{HEIGHT - BOTTOM}"))
    for point in points:
        if point.base is not None:
            a, b = places[point.base], places[point.variant]
            path = f"M{number(a[0])} {number(a[1])}L{number(b[0])} {number(b[1])}"
            parts.append(element("path", class_="step", d=path))
    front = sorted((p for p in points if p.best), key=lambda p: p.x)
    if len(front) > 1:
        path = "M" + "L".join(f"{number(a)} {number(b)}" for a, b in (places[p.variant] for p in front))
        parts.append(element("path", class_="front", d=path))
    parts += [_mark(p, *places[p.variant]) for p in sorted(points, key=lambda p: p.best)]
    parts += _labels(points, places)
    return element(
        "svg", join(parts), class_="plot", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", aria_hidden="true", focusable="false"
    )


def _grid(across: _Scale, up: _Scale) -> list[Markup]:
    parts = []
    for value, label in across.ticks():
        at = across.at(value)
        parts.append(element("path", class_="grid", d=f"M{number(at)} {TOP}V{HEIGHT - BOTTOM}"))
        parts.append(element("text", label, class_="tick mid", x=at, y=HEIGHT - BOTTOM + 15))
    for value, label in up.ticks():
        at = up.at(value)
        parts.append(element("path", class_="grid", d=f"M{LEFT} {number(at)}H{WIDTH - RIGHT}"))
        parts.append(element("text", label, class_="tick end", x=LEFT - 7, y=at + 3.5))
    return parts


def _titles(data: TradeOff) -> list[Markup]:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    turn = f"rotate(-90 14 {middle:g})"
    return [
        element("text", data.x.title, class_="axis mid", x=LEFT + (WIDTH - LEFT - RIGHT) / 2, y=HEIGHT - 10),
        element("text", data.y.title, class_="axis mid", x=14, y=middle, transform=turn),
    ]


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
