"""A cost record for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from thbench.cost.record import CostRecord, Summary

UNITLESS = frozenset({"real-time-factor"})
SHOWN_COLD = frozenset({"cold/load", "cold/first-frame", "cold/end-to-end"})
"""Measures of cold starts that are worth a line; the JSON has all."""


def render(record: CostRecord) -> Group:
    """Times, speed-ups, memory and warnings of a record."""
    parts: list[RenderableType] = [_heading(record), _times(record)]
    if record.comparisons:
        parts.append(_speed_ups(record))
    if record.memory:
        parts.append(_memory(record))
    parts += [_limit(record, variant) for variant in record.variants if variant in record.limits]
    parts += [Text(f"{warning.kind}: {warning.text}", style="yellow") for warning in record.warnings]
    return Group(*parts)


def seconds(value: float) -> str:
    """Seconds in the unit that suits them.

    Example:
        >>> seconds(0.00213)
        '2.13 ms'
    """
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def mebibytes(value: int | None) -> str:
    """Bytes in MiB, or a dash.

    Example:
        >>> mebibytes(3 * 2**20)
        '3.0'
    """
    return "—" if value is None else f"{value / 2**20:.1f}"


def _heading(record: CostRecord) -> Text:
    work, where = record.workload, record.conditions
    threads = f", {where.threads} threads" if where.threads else ""
    others = "" if where.other_work is None else f", {where.other_work:.2f} cores busy otherwise"
    return Text(
        f"{work.clip}: {work.frames} frames of {work.width}x{work.height} at {work.fps:g} fps on "
        f"{where.device_name} ({where.device}{threads}{others})"
    )


def _times(record: CostRecord) -> Table:
    """One section per variant."""
    table = Table("time", "mean", f"{record.level:.0%} interval", "median", "p90", "n")
    for column in table.columns[1:]:
        column.justify = "right"
    for variant in record.variants:
        table.add_row(Text(variant, style="bold"))
        for measure, summary in record.summaries[variant].items():
            if not measure.startswith("cold/") or measure in SHOWN_COLD:
                table.add_row(f"  {measure}", *_cells(measure, summary))
        table.add_section()
    return table


def _cells(measure: str, summary: Summary) -> Iterable[str]:
    def shown(value: float) -> str:
        return f"{value:.3g}" if measure in UNITLESS else seconds(value)

    known = summary.low is not None and summary.high is not None
    interval = f"{shown(summary.low or 0.0)} – {shown(summary.high or 0.0)}" if known else (summary.reason or "")
    return shown(summary.mean), interval, shown(summary.median), shown(summary.p90), str(summary.n)


def _speed_ups(record: CostRecord) -> Table:
    table = Table("measure", "variant", "speed-up", f"{record.level:.0%} interval", "pairs")
    for found in record.comparisons:
        known = found.low is not None and found.high is not None
        interval = f"{found.low:.3f} – {found.high:.3f}" if known else (found.reason or "")
        table.add_row(found.measure, found.variant, f"{found.ratio:.3f}x", interval, str(found.pairs))
    return table


def _limit(record: CostRecord, variant: str) -> Text:
    """How far from the machine's limit a variant runs."""
    bound, work = record.limits[variant], record.work[variant]
    share = record.workload.frames / work.frames
    measured = record.summaries[variant]["end-to-end"].median
    return Text(
        f"{variant}: its {work.flops * share:.3g} operations for {record.workload.frames} frames need at least "
        f"{seconds(bound.fused * share)} at this machine's rates with everything fused, "
        f"{seconds(bound.single * share)} operation by operation; that is {bound.single * share / measured:.0%} of the "
        f"time it takes" + (f" (not counted: {', '.join(work.uncounted)})" if work.uncounted else "")
    )


def _memory(record: CostRecord) -> Table:
    table = Table("peak memory, MiB", "stage", "allocated", "reserved", "device", "host")
    for column in table.columns[2:]:
        column.justify = "right"
    shown = dict.fromkeys(trial.variant for trial in record.memory)
    for trial in [next(t for t in record.memory if t.variant == variant) for variant in shown]:
        for stage, peaks in (("before", trial.before), *trial.stages.items(), ("peak", trial.peak)):
            kinds = (peaks.allocated, peaks.reserved, peaks.device, peaks.host)
            table.add_row(trial.variant, stage, *(mebibytes(kind) for kind in kinds))
    return table
