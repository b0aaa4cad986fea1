"""From values to responses and verdicts. Pure."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from thbench.validate.document import MetricVerdict, Response
from thbench.validate.expectations import EXPECTATIONS, expectation_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.spec import MetricSpec
    from thbench.validate.catalogue import Degradation, Variant
    from thbench.validate.document import Verdict
    from thbench.validate.expectations import Expectation

    Values = Mapping[str, Mapping["Variant", Mapping[str, float]]]
    """Clip to variant to metric to value; what is missing is absent."""
    Lacks = Mapping[str, Mapping["Variant", Mapping[str, str]]]
    """Clip to variant to metric to the reason why there is no value."""

MONOTONE = 0.95
"""Least absolute Spearman correlation of dose and mean value that counts as monotone. With fewer than seven doses,
every single step has to go the right way."""


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing their mean rank; infinities rank as they should."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])


def spearman(doses: Sequence[float], values: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None where either side is constant, or with a NaN.

    Args:
        doses: At least two.
        values: One for each dose.
    """
    numbers = np.asarray(values, np.float64)
    if np.isnan(numbers).any():
        return None
    a, b = ranks(np.asarray(doses, np.float64)), ranks(numbers)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size else None


def respond(metric: str, degradation: Degradation, values: Values, lacks: Lacks) -> Response:
    """Sum up what one metric did under one degradation, and hold it against what is expected."""
    variants = degradation.variants()
    rows = [[of.get(v, {}).get(metric, math.nan) for v in variants] for of in values.values()]
    table = np.array([row for row in rows if not np.isnan(row).any()], np.float64).reshape(-1, len(variants))
    expectation = expectation_of(metric, degradation.name)
    measured = Measured.of(table, degradation)
    verdict, reason = _verdict(expectation, measured)
    if verdict == "not measured":
        reason = _why_missing(metric, variants, lacks)
    return Response(
        metric=metric,
        degradation=degradation.name,
        clips=len(table),
        means=tuple(measured.means),
        rho=measured.rho,
        least_rho=measured.least_rho,
        change=measured.change,
        expected=expectation.response if expectation else None,
        allowed=_allowed(expectation, measured) if expectation else None,
        verdict=verdict,
        reason=reason,
    )


class Measured:
    """Numbers of one response."""

    def __init__(self, means: list[float], rho: float | None, least_rho: float | None, change: float | None) -> None:
        self.means = means
        self.rho = rho
        self.least_rho = least_rho
        self.change = change
        self.base = math.nan
        """Mean absolute value on the unchanged clips."""

    @classmethod
    def of(cls, table: NDArray[np.float64], degradation: Degradation) -> Measured:
        """Sum up a table.

        Args:
            table: Shape (clips, doses), no NaN.
            degradation: Its doses.
        """
        if not len(table):
            return cls([], None, None, None)
        means = table.mean(axis=0)
        rho = spearman(degradation.doses, list(means))
        each = [r for row in table if (r := spearman(degradation.doses, list(row))) is not None]
        least = None if rho is None or not each else (min(each) if rho > 0 else max(each))
        origin = table[:, degradation.origin, None]
        with np.errstate(invalid="ignore"):
            # Two infinities (PSNR of equal frames) are no change.
            changes = np.where(table == origin, 0.0, np.abs(table - origin))
        measured = cls(means.tolist(), rho, least, float(changes.mean(axis=0).max()))
        measured.base = float(np.abs(origin).mean())
        return measured


def _allowed(expectation: Expectation, measured: Measured) -> float | None:
    if expectation.response != "ignores":
        return None
    return expectation.within * measured.base if expectation.relative else expectation.within


def _verdict(expectation: Expectation | None, measured: Measured) -> tuple[Verdict | None, str]:
    if expectation is None:
        return None, ""
    if measured.change is None:
        return "not measured", ""
    if expectation.response == "ignores":
        allowed = _allowed(expectation, measured) or 0.0
        # A NaN (the base is infinite) is not below anything.
        fine = measured.change <= allowed
        return ("holds", "") if fine else ("fails", f"changes by {measured.change:.3g}, allowed {allowed:.3g}")
    if measured.rho is None:
        return "fails", "does not change"
    wanted = 1.0 if expectation.response == "rises" else -1.0
    fine = wanted * measured.rho >= MONOTONE
    return ("holds", "") if fine else ("fails", f"should be one that {expectation.response}: rho {measured.rho:+.2f}")


def _why_missing(metric: str, variants: Sequence[Variant], lacks: Lacks) -> str:
    """The commonest reason."""
    reasons = Counter(r for of in lacks.values() for v in variants if (r := of.get(v, {}).get(metric)))
    return reasons.most_common(1)[0][0] if reasons else "no clip has a value at every dose"


def verdict_of(spec: MetricSpec, responses: Sequence[Response]) -> MetricVerdict:
    """Sum up one metric.

    Args:
        spec: The metric.
        responses: Its own.
    """
    checked = [r for r in responses if r.verdict is not None]
    failed = [f"{r.degradation}: {r.reason}" for r in checked if r.verdict == "fails"]
    unmeasured = [f"{r.degradation}: not measured ({r.reason})" for r in checked if r.verdict == "not measured"]
    must_move = [r for r in checked if r.expected != "ignores"]
    blind = all(r.verdict == "not measured" for r in (must_move or checked))
    verdict: Verdict = "fails" if failed else "not measured" if blind else "holds"
    reasons = (*failed, *unmeasured)
    if spec.name not in EXPECTATIONS:
        reasons = ("no expectation is written down in thbench.validate.expectations",)
    elif spec.statistic is not None and not checked:
        reasons = ("a metric of a set of videos; single clips have no value",)
    return MetricVerdict(
        metric=spec.name,
        protocol_id=spec.protocol_id,
        verdict=verdict,
        held=sum(r.verdict == "holds" for r in checked),
        expected=len(checked),
        reasons=reasons,
    )
