"""What a comparison of so few could find at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thbench.stats.bootstrap import LEVEL
from thbench.stats.student import student_quantile

if TYPE_CHECKING:
    from thbench.stats.bootstrap import Estimate

POWER = 0.8
"""Share of true differences of the detectable size that are found; Cohen's convention."""


def detectable(estimate: Estimate, *, level: float = LEVEL, power: float = POWER) -> float | None:
    """The smallest true difference that a repetition with as many identities would tell apart from none so often.

    (t_{(1+level)/2} + t_power) x standard error, the usual approximation of the noncentral t distribution (Lachin
    1981).

    Returns:
        In the unit of the estimate; None where it has no standard error.
    """
    if estimate.error is None or estimate.freedom is None:
        return None
    return _reach(estimate.freedom, level, power) * estimate.error


def identities_needed(
    estimate: Estimate, difference: float, *, level: float = LEVEL, power: float = POWER
) -> int | None:
    """How many identities like these would tell `difference` apart from none so often.

    The standard error falls with the root of their number, and so do, slightly, the quantiles.

    Returns:
        At least 2; None where nothing is known of the spread, or `difference` is 0.
    """
    if estimate.error is None or estimate.freedom is None or difference == 0:
        return None
    share = estimate.freedom / max(estimate.clusters - 1, 1)
    spread = estimate.error * math.sqrt(estimate.clusters)
    if spread == 0:
        return 2

    def enough(k: int) -> bool:
        return _reach(max(share * (k - 1), 1.0), level, power) * spread / math.sqrt(k) <= abs(difference)

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > 2**40:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _reach(freedom: float, level: float, power: float) -> float:
    return student_quantile((1 + level) / 2, freedom) + student_quantile(power, freedom)
