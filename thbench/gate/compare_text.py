"""A comparison of two runs as a table in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from thbench.report.digits import format_value
from thbench.report.grid import ARROWS, clean

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thbench.gate.compare import CompareReport, Difference

STYLES = {"better": "green", "worse": "red", "changed": "magenta"}


def render(report: CompareReport) -> RenderableType:
    """One line for each metric and cost; above 0 is worse."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("variant", "metric", "A", "B", "B worse by", "n", "B is"):
        table.add_column(name, no_wrap=name in {"metric", "B is"}, overflow="fold")
    for one in report.differences:
        table.add_row(
            Text(clean(one.variant)),
            Text(f"{clean(one.metric)} {ARROWS[one.direction]}".rstrip()),
            Text(_value(one.a)),
            Text(_value(one.b)),
            Text(_difference(one)),
            Text(_count(one)),
            Text(one.verdict, style=STYLES.get(one.verdict, "dim")),
        )
    lines = [
        Text(
            f"A: {clean(report.a)}, B: {clean(report.b)}. Paired by clip, 95 % intervals over identities; `B is` after "
            "Holm's correction over all metrics. Costs are ratios of timings.",
            style="dim",
        )
    ]
    lines += [Text(f"Only in {side}: {clean(', '.join(names))}", style="yellow") for side, names in _alone(report)]
    lines += [Text(f"Warning: {clean(warning)}", style="yellow") for warning in report.warnings]
    return Group(table, *lines)


def _alone(report: CompareReport) -> list[tuple[str, tuple[str, ...]]]:
    return [(side, names) for side, names in (("A", report.only_a), ("B", report.only_b)) if names]


def _value(value: float | None) -> str:
    return "—" if value is None else format_value(value)


def _difference(one: Difference) -> str:
    if one.difference is None:
        return clean(one.reason or "—")
    if one.low is None or one.high is None:
        return f"{_number(one.difference, one)} ({clean(one.reason or 'no interval')})"
    return f"{_number(one.difference, one)} [{_number(one.low, one)}, {_number(one.high, one)}]"


def _number(value: float, one: Difference) -> str:
    return f"{value:+.1%}" if one.relative else f"{value:+.3g}"


def _count(one: Difference) -> str:
    alone = f" ({one.only_a}/{one.only_b} alone)" if one.only_a or one.only_b else ""
    return f"{one.pairs}{alone}"
