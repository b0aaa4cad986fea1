"""Costs as plain tables, in the units that people read them in; see `thbench.report.grid`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from thbench.report.digits import format_interval, format_value
from thbench.report.grid import DASH, Entry, Grid, Head, Line, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thbench.report.leaderboard import Cost, CostTable, Leaderboard, SpeedUp

HEADS: Mapping[str, str] = {
    "time/real-time-factor": "real-time factor",
    "time/end-to-end": "clip",
    "time/frame": "frame",
    "time/first-frame": "first frame",
    "time/cold/load": "load",
    "memory/allocated": "allocated",
    "memory/host": "host memory",
    "flops": "operations",
}
"""Measures that tables show, in their order, with a short heading; leaderboard.json has the others too."""
SPEED_UP = "speed-up"
"""Heading of the speed-ups of whole clips."""
OF_CLIP = "time/end-to-end"
"""What speed-ups are of."""
SCALES: Mapping[str, tuple[tuple[float, str], ...]] = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB")),
    "operations": ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")),
    "1": ((1.0, ""),),
}
"""Unit to the units that its numbers are shown in, the largest first."""


class Scale(NamedTuple):
    """The unit of one column."""

    factor: float
    unit: str

    def value(self, cost: Cost) -> str:
        """The number, with as many digits as its interval supports."""
        return format_value(cost.value / self.factor, *self._ends(cost))

    def interval(self, cost: Cost) -> str:
        """Its interval; empty where there is none."""
        low, high = self._ends(cost)
        return "" if low is None or high is None else format_interval(cost.value / self.factor, low, high)

    def _ends(self, cost: Cost) -> tuple[float | None, float | None]:
        if cost.low is None or cost.high is None:
            return None, None
        return cost.low / self.factor, cost.high / self.factor


def scale_of(unit: str, costs: Iterable[Cost]) -> Scale:
    """The unit in which the middle of some numbers has one to three digits before the point.

    Example:
        >>> from thbench.report.leaderboard import Cost
        >>> scale_of("s", [Cost(value=0.0123, n=1)])
        Scale(factor=0.001, unit='ms')
    """
    sizes = sorted(abs(cost.value) for cost in costs if math.isfinite(cost.value) and cost.value)
    choices = SCALES.get(unit, ((1.0, unit),))
    middle = sizes[len(sizes) // 2] if sizes else choices[0][0]
    return Scale(*next((choice for choice in choices if middle >= choice[0]), choices[-1]))


def shown_measures(table: CostTable) -> list[str]:
    """Ids of the measures that a table shows."""
    known = {measure.id for measure in table.measures}
    return [id_ for id_ in HEADS if id_ in known]


def speed_up_of(table: CostTable, variant: str, measure: str = OF_CLIP) -> SpeedUp | None:
    """How much faster a variant is than what it was measured in turn with."""
    return next((s for s in table.speed_ups if s.variant == variant and s.measure == measure), None)


def lay_out_costs(table: CostTable, kinds: Mapping[str, str], most_columns: int) -> tuple[Grid, ...]:
    """Lay a table of costs out in as few parts as `most_columns` allow.

    Args:
        table: Costs.
        kinds: Variant to its kind.
        most_columns: How many columns fit beside each other, without the first.
    """
    units = {measure.id: measure.unit for measure in table.measures}
    columns = shown_measures(table)
    scales = {id_: scale_of(units[id_], (row[id_] for row in table.rows.values() if id_ in row)) for id_ in columns}
    heads = {id_: Head(HEADS[id_], "↓", scales[id_].unit) for id_ in columns}
    if any(s.measure == OF_CLIP for s in table.speed_ups):
        columns.insert(0, SPEED_UP)
        heads[SPEED_UP] = Head(SPEED_UP, "↑")

    def entry(variant: str, id_: str) -> Entry:
        if id_ == SPEED_UP:
            return _speed_up_entry(speed_up_of(table, variant))
        cost = table.rows[variant].get(id_)
        if cost is None:
            return Entry(DASH)
        counts = "" if cost.n == 1 else f"n={cost.n}"
        return Entry(scales[id_].value(cost), scales[id_].interval(cost), counts)

    return tuple(
        Grid(
            tuple(heads[id_] for id_ in part),
            tuple(
                Line(Head(variant, kind=kinds.get(variant, "method")), tuple(entry(variant, id_) for id_ in part))
                for variant in table.rows
            ),
        )
        for part in split(columns, most_columns)
    )


def _speed_up_entry(found: SpeedUp | None) -> Entry:
    if found is None:
        return Entry(DASH)
    known = found.low is not None and found.high is not None
    interval = format_interval(found.ratio, found.low or 0.0, found.high or 0.0) if known else ""
    return Entry(f"{format_value(found.ratio, found.low, found.high)}x", interval, f"n={found.pairs}")


def setting_text(table: CostTable) -> str:
    """On what, and at which work, costs were measured; one line."""
    return "; ".join(f"{name}: {value}" for name, value in table.setting.items())


def kinds_of(leaderboard: Leaderboard) -> dict[str, str]:
    """Variant to its kind."""
    return {row.variant: row.kind for row in leaderboard.rows}


def cost_notes(table: CostTable) -> Sequence[str]:
    """What speed-ups are against, and what a reader of the times should know."""
    bases = dict.fromkeys(s.baseline for s in table.speed_ups if s.measure == OF_CLIP)
    notes = [f"speed-up: a whole clip against {base}, measured in turn" for base in bases]
    return [*notes, *table.warnings]
