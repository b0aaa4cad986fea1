"""Operation counts for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from thbench.cost.table import seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from thbench.cost.counted import WorkCount, WorkReport

UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def render_work(report: WorkReport) -> Group:
    """One table per variant, and what the machine needs at least."""
    parts: list[RenderableType] = []
    for work in report.works:
        parts += [Text(f"{work.variant}: {work.workload}", style="bold"), _table(work)]
        if work is not report.works[0] and work.flops:
            parts.append(Text(f"{report.works[0].flops / work.flops:.3f} times fewer operations"))
        if work.uncounted:
            parts.append(Text(f"not counted: {', '.join(work.uncounted)}", style="dim"))
        bound = report.bounds.get(work.variant)
        if bound is not None:
            rates = bound.rates
            parts.append(
                Text(
                    f"{bound.device_name} reaches {scaled(rates.flops_per_second)}FLOP/s in {rates.dtype} and "
                    f"{scaled(rates.bytes_per_second)}B/s: at least {seconds(bound.fused)} with everything fused, "
                    f"{seconds(bound.single)} operation by operation ({work.frames} frames)"
                )
            )
    return Group(*parts)


def scaled(value: float) -> str:
    """A number with its prefix.

    Example:
        >>> scaled(53.9518e12)
        '53.95 T'
    """
    for factor, prefix in UNITS:
        if abs(value) >= factor:
            return f"{value / factor:.2f} {prefix}"
    return f"{value:.0f} "


def _table(work: WorkCount) -> Table:
    table = Table("network", "calls", "FLOP/call", "FLOP", "share", "parameters", "FLOP/byte")
    for column in table.columns[1:]:
        column.justify = "right"
    total = work.flops
    for part in work.parts:
        whole = part.calls * part.flops
        table.add_row(
            part.name,
            f"{part.calls:g}",
            scaled(part.flops),
            scaled(whole),
            f"{whole / total:.1%}" if total else "",
            scaled(part.parameters),
            f"{part.intensity:.0f} – {part.highest_intensity:.0f}",
        )
    table.add_section()
    table.add_row("all", "", "", Text(scaled(total), style="bold"), "", "", "")
    return table
