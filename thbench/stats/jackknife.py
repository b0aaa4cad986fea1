"""Intervals of numbers of whole sets (FID, KID, FVD), by leaving out one identity at a time.

A bootstrap draws some videos twice, which makes a set of few samples poorer and its distance larger; leaving out one
identity at a time does not. Source: Efron & Stein, "The Jackknife Estimate of Variance", 1981. The bias of few samples
is not part of such an interval; in a difference of two sets of equal size it cancels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thbench.stats.bootstrap import LEVEL, Estimate, Interval
from thbench.stats.student import student_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST = 3
"""Fewest identities; leaving out one of two says nothing of their spread."""


def jackknife(value: float, left_out: Mapping[str, float], *, level: float = LEVEL) -> Estimate:
    """A number of a set with its interval over identities.

    Args:
        value: The number of the whole set.
        left_out: Identity to the number of the set without it.
        level: Nominal coverage.

    Raises:
        ValueError: A number is not finite.

    Example:
        >>> jackknife(2.0, {"ann": 2.0, "bob": 1.5, "cid": 2.5}).error
        0.5773502691896257
    """
    k = len(left_out)
    if not all(map(math.isfinite, (value, *left_out.values()))):
        raise ValueError("a number of a set is not finite; such a set has no value")
    if k < LEAST:
        return Estimate(value, None, f"leaving out one of {k} identities says nothing of their spread", k, k)
    numbers = [left_out[name] for name in sorted(left_out)]
    mean = math.fsum(numbers) / k
    error = math.sqrt((k - 1) / k * math.fsum((number - mean) ** 2 for number in numbers))
    reach = student_quantile((1 + level) / 2, k - 1) * error
    interval = Interval(value - reach, value + reach, level, "jackknife-t", k, k)
    return Estimate(value, interval, None, k, k, error, k - 1.0)
