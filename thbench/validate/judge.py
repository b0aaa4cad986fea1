"""From values to responses and verdicts. Pure."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from thbench.validate.catalogue import UNCHANGED
from thbench.validate.document import MetricVerdict, Response
from thbench.validate.expectations import EXPECTATIONS, expectation_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.spec import MetricSpec, SetStatistic
    from thbench.validate.catalogue import Degradation, Variant
    from thbench.validate.document import Verdict
    from thbench.validate.expectations import Expectation

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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the clips gave under one degradation."""

    values: Mapping[str, Mapping[Variant, Mapping[str, float]]]
    """Clip to variant to metric to value; what is missing is absent."""
    missing: Mapping[str, Mapping[Variant, Mapping[str, str]]] = field(default_factory=dict)
    """Clip to variant to metric to the reason why there is no value."""
    features: Mapping[str, Mapping[Variant, Mapping[str, NDArray[np.float32]]]] = field(default_factory=dict)
    """Clip to variant to extractor to features, shape (n, d)."""

    def table(self, spec: MetricSpec, variants: Sequence[Variant]) -> NDArray[np.float64]:
        """Values of clips that have one for every variant, shape (clips, variants); one row for a metric of sets."""
        if spec.statistic is not None:
            rows = [self._of_sets(spec.statistic, variants)]
        else:
            rows = [[of.get(v, {}).get(spec.name, math.nan) for v in variants] for of in self.values.values()]
        return np.array([row for row in rows if not np.isnan(row).any()], np.float64).reshape(-1, len(variants))

    def _of_sets(self, statistic: SetStatistic, variants: Sequence[Variant]) -> list[float]:
        """The statistic of all clips under each variant against the unchanged clips."""
        real = self._joined(statistic.reference, UNCHANGED)
        if real is None:
            return [math.nan] * len(variants)
        sets = [self._joined(statistic.extractor, variant) for variant in variants]
        return [math.nan if rows is None else set_distance(statistic, rows, real) for rows in sets]

    def _joined(self, extractor: str, variant: Variant) -> NDArray[np.float32] | None:
        parts = [of.get(variant, {}).get(extractor) for of in self.features.values()]
        found = [part for part in parts if part is not None]
        return np.concatenate(found) if found and len(found) == len(parts) else None

    def why_missing(self, metric: str, variants: Sequence[Variant]) -> str:
        """The commonest reason why there is no value."""
        reasons = Counter(r for of in self.missing.values() for v in variants if (r := of.get(v, {}).get(metric)))
        return reasons.most_common(1)[0][0] if reasons else "no clip has a value at every dose"


def set_distance(statistic: SetStatistic, ours: NDArray[np.float32], real: NDArray[np.float32]) -> float:
    """The distance of two sets of features, shape (n, d); NaN where the sets are too small or do not vary."""
    from thbench.metrics.frechet import frechet_distance
    from thbench.metrics.kid import PROTOCOLS, kid
    from thbench.metrics.moments import DegenerateSetError, moments

    try:
        if statistic.kind == "kid":
            return kid(ours, real, PROTOCOLS[statistic.subsets]).value
        return max(frechet_distance(moments(ours), moments(real), ddof=statistic.ddof).value, 0.0)
    except DegenerateSetError:
        return math.nan


def respond(spec: MetricSpec, degradation: Degradation, evidence: Evidence) -> Response:
    """Sum up what one metric did under one degradation, and hold it against what is expected."""
    variants = degradation.variants()
    table = evidence.table(spec, variants)
    expectation = expectation_of(spec.name, degradation.name)
    measured = Measured.of(table, degradation)
    verdict, reason = _verdict(expectation, measured)
    if verdict == "not measured":
        reason = evidence.why_missing(spec.name, variants)
    return Response(
        metric=spec.name,
        degradation=degradation.name,
        clips=len(evidence.values) if spec.statistic is not None and len(table) else len(table),
        means=measured.means,
        rho=measured.rho,
        least_rho=measured.least_rho,
        change=measured.change,
        expected=expectation.response if expectation else None,
        allowed=_allowed(expectation, measured) if expectation else None,
        verdict=verdict,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of one response; see `Response`."""

    means: tuple[float, ...] = ()
    rho: float | None = None
    least_rho: float | None = None
    change: float | None = None
    base: float = math.nan
    """Mean absolute value on the unchanged clips."""

    @classmethod
    def of(cls, table: NDArray[np.float64], degradation: Degradation) -> Measured:
        """Sum up a table.

        Args:
            table: Shape (clips, doses), no NaN.
            degradation: Its doses.
        """
        if not len(table):
            return cls()
        means = table.mean(axis=0)
        rho = spearman(degradation.doses, list(means))
        each = [r for row in table if (r := spearman(degradation.doses, list(row))) is not None]
        least = None if rho is None or not each else (min(each) if rho > 0 else max(each))
        origin = table[:, degradation.origin, None]
        with np.errstate(invalid="ignore"):
            # Two infinities (PSNR of equal frames) are no change.
            changes = np.where(table == origin, 0.0, np.abs(table - origin))
        change = float(changes.mean(axis=0).max())
        return cls(tuple(means.tolist()), rho, least, change, float(np.abs(origin).mean()))


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
    wanted, word = (1.0, "rise") if expectation.response == "rises" else (-1.0, "fall")
    fine = wanted * measured.rho >= MONOTONE
    return ("holds", "") if fine else ("fails", f"must {word}: rho {measured.rho:+.2f}")


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
    return MetricVerdict(
        metric=spec.name,
        protocol_id=spec.protocol_id,
        verdict=verdict,
        held=sum(r.verdict == "holds" for r in checked),
        failed=len(failed),
        expected=len(checked),
        reasons=reasons,
    )
