"""Trade-offs: two numbers of every variant against each other, and what no other method beats in both.

Data only; the site draws them as SVG, the figures by matplotlib.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thbench.report.cost_grid import OF_CLIP
from thbench.report.grid import ARROWS, clean
from thbench.report.names import base_of, family
from thbench.report.standing import cost_of, real_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from thbench.report.leaderboard import Column, CostTable, Leaderboard, Row

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
FASTER_THAN_LIFE = 1.0
"""Real-time factor at which a method keeps up with the speech."""
Ends = tuple[float, float]
"""Ends of an interval."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One number of every variant."""

    name: str
    """Its name, as the leaderboard has it."""
    title: str
    """Name, unit and direction."""
    values: Mapping[str, float]
    """Variant to finite number."""
    losses: Mapping[str, float]
    """Variant to what is to be small."""
    ends: Mapping[str, Ends] = field(default_factory=dict)
    """Variant to the ends of its interval."""
    logarithmic: bool = False
    """Whether ratios are what counts."""
    mark: float | None = None
    """A value that means something."""


@dataclass(frozen=True, slots=True)
class Point:
    """One variant in the plane of two numbers."""

    variant: str
    kind: str
    x: float
    y: float
    best: bool
    """No other method is at least as good in both and better in one."""
    x_ends: Ends | None = None
    y_ends: Ends | None = None
    base: str | None = None
    """The variant without acceleration, where it is in the plane too."""


@dataclass(frozen=True, slots=True)
class TradeOff:
    """One pair of numbers."""

    x: Axis
    y: Axis
    points: tuple[Point, ...]

    @property
    def summary(self) -> str:
        """What it shows, in a few words."""
        best = ", ".join(clean(p.variant) for p in self.points if p.best) or "none"
        return f"{len(self.points)} variants; not beaten in both: {best}"


def trade_offs(leaderboard: Leaderboard) -> tuple[TradeOff, ...]:
    """Speed against each headline metric where speed was measured, then headline metrics against each other."""
    chosen = [metric_axis(leaderboard, column) for column in headlines(leaderboard)]
    speeds = speed_axes(leaderboard)
    pairs = [(speed, axis, 2) for speed in speeds for axis in chosen]
    order = sorted(itertools.combinations(range(len(chosen)), 2), key=lambda pair: (sum(pair), pair))
    pairs += [(chosen[i], chosen[j], 3) for i, j in order]
    found = (trade_off(leaderboard, x, y, least=least) for x, y, least in pairs)
    return tuple(one for one in found if one is not None)


def headlines(leaderboard: Leaderboard) -> list[Column]:
    """One column of each family that has a direction and at least three different values."""
    found: dict[str, Column] = {}
    for head in HEADLINES:
        for column in leaderboard.columns:
            if column.metric.partition("/")[0] != head or column.direction == "none":
                continue
            if len(set(_values(leaderboard, column).values())) >= 3:
                found.setdefault(family(column.metric), column)
                break
    return list(found.values())


def metric_axis(leaderboard: Leaderboard, column: Column) -> Axis:
    """A column of the leaderboard."""
    real = real_value(leaderboard, column)
    values = _values(leaderboard, column)
    return Axis(
        name=column.id,
        title=axis_title(column),
        values=values,
        losses={variant: cost_of(value, column, real) for variant, value in values.items()},
        ends={
            row.variant: (cell.low, cell.high)
            for row in leaderboard.rows
            if (cell := row.cells.get(column.id)) is not None
            and cell.low is not None
            and cell.high is not None
            and math.isfinite(cell.low + cell.high)
        },
    )


def _values(leaderboard: Leaderboard, column: Column) -> dict[str, float]:
    return {
        row.variant: cell.value
        for row in leaderboard.rows
        if (cell := row.cells.get(column.id)) is not None and cell.value is not None and math.isfinite(cell.value)
    }


def speed_axes(leaderboard: Leaderboard) -> list[Axis]:
    """For each table of costs the real-time factors, or the speed-ups where all variants have one baseline."""
    return [axis for table in leaderboard.costs if (axis := _speed_axis(table)) is not None]


def _speed_axis(table: CostTable) -> Axis | None:
    ups = {s.variant: s for s in table.speed_ups if s.measure == OF_CLIP}
    bases = {s.baseline for s in ups.values()}
    if len(bases) == 1 and set(table.rows) == {*ups, *bases}:
        values = {**{variant: s.ratio for variant, s in ups.items()}, bases.copy().pop(): 1.0}
        return Axis(
            name="speed-up",
            title=f"speed-up against {clean(next(iter(bases)))} ↑",
            values=values,
            losses={variant: -value for variant, value in values.items()},
            ends={v: (s.low, s.high) for v, s in ups.items() if s.low is not None and s.high is not None},
        )
    costs = {v: row["time/real-time-factor"] for v, row in table.rows.items() if "time/real-time-factor" in row}
    known = {variant: cost for variant, cost in costs.items() if math.isfinite(cost.value) and cost.value > 0}
    if len(known) < 2:
        return None
    values = {variant: cost.value for variant, cost in known.items()}
    return Axis(
        name="real-time factor",
        title="real-time factor ↓",
        values=values,
        losses=values,
        ends={v: (c.low, c.high) for v, c in known.items() if c.low is not None and c.high is not None and c.low > 0},
        logarithmic=True,
        mark=FASTER_THAN_LIFE,
    )


def trade_off(leaderboard: Leaderboard, x: Axis, y: Axis, *, least: int = 3) -> TradeOff | None:
    """Two numbers against each other; None with fewer than `least` variants that have both."""
    rows = [row for row in leaderboard.rows if row.variant in x.values and row.variant in y.values]
    if len(rows) < least:
        return None
    losses = {r.variant: (x.losses[r.variant], y.losses[r.variant]) for r in rows if r.kind != "ground-truth"}
    front = pareto_front({r.variant: losses[r.variant] for r in rows if r.kind == "method"} or losses)
    names = {row.variant for row in rows}
    return TradeOff(x, y, tuple(_points(rows, x, y, front, names)))


def _points(rows: list[Row], x: Axis, y: Axis, front: set[str], names: set[str]) -> Iterator[Point]:
    for row in rows:
        name = row.variant
        base = base_of(name)
        yield Point(
            variant=name,
            kind=row.kind,
            x=x.values[name],
            y=y.values[name],
            best=name in front,
            x_ends=x.ends.get(name),
            y_ends=y.ends.get(name),
            base=base if base in names else None,
        )


def pareto_front(losses: Mapping[str, tuple[float, float]]) -> set[str]:
    """Names whose losses no other is at most in both and below in one.

    Example:
        >>> sorted(pareto_front({"a": (0, 2), "b": (1, 1), "c": (1, 2)}))
        ['a', 'b']
    """
    front: set[str] = set()
    least = math.inf
    ordered = sorted(losses, key=lambda name: losses[name])
    for _, several in itertools.groupby(ordered, key=lambda name: losses[name][0]):
        group = list(several)
        lowest = losses[group[0]][1]
        if lowest < least:
            front |= {name for name in group if losses[name][1] == lowest}
            least = lowest
    return front


def axis_title(column: Column) -> str:
    """Name, unit and direction of a column."""
    unit = "" if column.unit == "1" else f" ({column.unit})"
    return clean(f"{column.id}{unit} {ARROWS[column.direction]}".strip())
