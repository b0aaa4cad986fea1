"""What is said of a number that stands for a costlier one: by how much the two differ on the same videos.

A metric of the mode `fast`, or one that takes the shared face pass instead of its own detector, names the metric that
it approximates. Where a run has both, the difference is measured and printed with the value; where it has not, the
reader is told how to measure it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from thbench.backbones.mode_names import split_mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench.report.cells import Scored
    from thbench.report.contrast import Evidence
    from thbench.report.outcomes import ColumnPlan

Table = dict[str, "dict[str, Scored]"]
"""Variant to column id to what was scored."""


def with_differences(table: Mapping[str, Mapping[str, Scored]], plans: Sequence[ColumnPlan]) -> Table:
    """Return a table whose stand-ins have a remark on their difference from what they stand for.

    Args:
        table: Variant to column id to cell and evidence.
        plans: The columns.
    """
    by_metric = {(plan.column.metric, _context(plan)): plan.column.id for plan in plans}
    partners = {
        plan.column.id: (plan, by_metric.get((plan.approximates, _context(plan))))
        for plan in plans
        if plan.approximates is not None
    }
    return {
        variant: {
            id_: _remarked(scored, row, *partners[id_]) if id_ in partners else scored for id_, scored in row.items()
        }
        for variant, row in table.items()
    }


def _context(plan: ColumnPlan) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(plan.column.context.items()))


def _remarked(scored: Scored, row: Mapping[str, Scored], plan: ColumnPlan, partner: str | None) -> Scored:
    if scored.cell.value is None:
        return scored
    remark = None
    if partner is not None and partner in row:
        remark = difference(plan.approximates or "", scored.evidence, row[partner].evidence)
    remarks = (*scored.cell.remarks, remark or _how_to_measure(plan))
    return replace(scored, cell=scored.cell.model_copy(update={"remarks": remarks}))


def difference(name: str, ours: Evidence, theirs: Evidence) -> str | None:
    """Say by how much the numbers of a stand-in differ from those of the metric that it stands for.

    Args:
        name: Of the metric that it stands for.
        ours: Evidence of the stand-in.
        theirs: Evidence of that metric.

    Returns:
        A few words; None where there is nothing to compare.
    """
    if ours.number is not None and theirs.number is not None:
        return f"differs from {name} by {_change(ours.number, theirs.number)}"
    both = sorted(ours.values.keys() & theirs.values.keys())
    if not both:
        return None
    means = [math.fsum(side.values[unit] for unit in both) / len(both) for side in (ours, theirs)]
    largest = max(abs(ours.values[unit] - theirs.values[unit]) for unit in both)
    videos = f"{len(both)} video{'' if len(both) == 1 else 's'}"
    return f"differs from {name} by {_change(*means)} in the mean of {videos}, by at most {largest:.2g} in one"


def _change(ours: float, theirs: float) -> str:
    change = ours - theirs
    share = f" ({change / abs(theirs):+.2%})" if theirs else ""
    return f"{change:+.3g}{share}"


def _how_to_measure(plan: ColumnPlan) -> str:
    metric, mode = split_mode(plan.column.metric)
    if mode == "fast":
        return f"8-bit products in place of float32; --mode both measures by how much it differs from {metric}"
    return f"stands for {plan.approximates}; ask for that too to see by how much it differs"
