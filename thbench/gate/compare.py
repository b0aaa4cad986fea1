"""`thbench compare`: every metric and cost of two runs beside each other, with paired differences. No verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from thbench.gate.costs import COUNTED, cost_loss
from thbench.gate.quality import measured_of, quality_loss
from thbench.spec import Direction
from thbench.stats.significance import holm
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thbench.gate.examine import Side
    from thbench.report.contrast import Contrast


class Difference(Document):
    """One metric or cost of one variant in two runs."""

    variant: str
    """Variant."""
    metric: str
    """Metric or cost."""
    direction: Direction
    """Which way is better."""
    unit: str = "1"
    """Unit of the values; costs are in seconds, bytes or operations."""
    a: float | None
    """Value in the first run, over what entered."""
    b: float | None
    """Value in the second."""
    relative: bool
    """Whether difference and interval are shares of the first run's value, as they are for costs."""
    difference: float | None
    """How much worse b is than a, or b - a for a metric without direction; None where `reason` says why."""
    low: float | None = None
    """Lower end of its interval."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Holm's adjusted p-value over all metrics of the comparison; None for costs."""
    pairs: int
    """Videos or samples that entered."""
    only_a: int = 0
    """Videos that only the first run has a value for."""
    only_b: int = 0
    """Videos that only the second run has a value for."""
    reason: str | None = None
    """Why there is no difference or no interval."""

    @property
    def verdict(self) -> Literal["better", "worse", "changed", "not told apart", "equal", "not compared"]:
        """What can be said of b beside a; metrics by the adjusted p-value, costs by their interval."""
        if self.difference is None:
            return "not compared"
        if self.difference == 0 and (self.low or 0.0) == (self.high or 0.0) == 0:
            return "equal"
        apart = self.p < 0.05 if self.p is not None else self._excludes_none()
        if not apart:
            return "not told apart"
        if self.direction == "none":
            return "changed"
        return "worse" if self.difference > 0 else "better"

    def _excludes_none(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class CompareReport(Document):
    """Two runs beside each other."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    a: str
    """First run."""
    b: str
    """Second run."""
    differences: tuple[Difference, ...]
    """By variant, then by metric."""
    only_a: tuple[str, ...] = ()
    """Variants that only the first run has."""
    only_b: tuple[str, ...] = ()
    """Variants that only the second run has."""
    warnings: tuple[str, ...] = ()
    """What a reader should know of the runs."""


def compare_runs(a: Side, b: Side) -> CompareReport:
    """Compare what two runs have in common."""
    common = sorted(a.variants & b.variants)
    found = [
        pair for variant in common for pair in (*_qualities(a, b, variant), *((d, None) for d in _costs(a, b, variant)))
    ]
    adjusted = holm({i: contrast.p for i, (_, contrast) in enumerate(found) if contrast is not None})
    differences = tuple(d.model_copy(update={"p": adjusted.get(i)}) for i, (d, _) in enumerate(found))
    return CompareReport(
        a=a.name,
        b=b.name,
        differences=differences,
        only_a=tuple(sorted(a.variants - b.variants)),
        only_b=tuple(sorted(b.variants - a.variants)),
        warnings=tuple(f"{side.name}: {warning}" for side in (a, b) for warning in side.warnings),
    )


def _qualities(a: Side, b: Side, variant: str) -> Iterator[tuple[Difference, Contrast]]:
    ours, theirs = a.quality.rows.get(variant, {}), b.quality.rows.get(variant, {})
    for key, column in a.quality.columns.items():
        if key not in ours or key not in theirs or not (ours[key].scored or theirs[key].scored):
            continue
        found = quality_loss(ours[key], theirs[key], column.direction).contrast
        if column.direction == "none" and found.estimate is not None:
            found = quality_loss(ours[key], theirs[key], "lower").contrast
        measured = measured_of(found, relative=False)
        told = isinstance(measured, str)
        yield (
            Difference(
                variant=variant,
                metric=column.metric,
                direction=column.direction,
                unit=column.unit,
                a=found.means[0] if found.means else None,
                b=found.means[1] if found.means else None,
                relative=False,
                difference=found.estimate.value if found.estimate is not None else None,
                low=None if isinstance(measured, str) else measured.low,
                high=None if isinstance(measured, str) else measured.high,
                pairs=found.pairs,
                only_a=found.only_a,
                only_b=found.only_b,
                reason=measured if told and isinstance(measured, str) else None,
            ),
            found,
        )


def _costs(a: Side, b: Side, variant: str) -> Iterator[Difference]:
    names = [side.costs.names.get(variant, frozenset()) for side in (a, b)]
    for cost in sorted(names[0] & names[1]):
        loss = cost_loss(a.costs, b.costs, variant, cost, None)
        measured = loss.measured
        yield Difference(
            variant=variant,
            metric=cost,
            direction="lower",
            unit="operations" if cost == "flops" else "B" if cost.startswith("memory/") else "s",
            a=None if measured is None else measured.baseline,
            b=None if measured is None else measured.candidate,
            relative=True,
            difference=None if measured is None else measured.loss,
            low=None if measured is None else measured.low,
            high=None if measured is None else measured.high,
            pairs=0 if measured is None else measured.pairs,
            reason=loss.reason or ("counted" if cost in COUNTED else None),
        )
