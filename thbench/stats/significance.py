"""Whether a difference is told apart from none: p-values, and Holm's correction for many of them.

A p-value is that of the t statistic with the cluster-robust standard error CR2, corrected for skewness (see
`thbench.stats.bootstrap`). Counting resamples would give none below 1 / resamples, which is where a correction for a
whole table needs them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, TypeVar

from thbench.stats.skew import unskewed
from thbench.stats.student import student_cdf

if TYPE_CHECKING:
    from thbench.stats.bootstrap import Estimate

Key = TypeVar("Key", bound=Hashable)


def p_value(estimate: Estimate) -> float | None:
    """Two-sided probability of a mean at least this far from 0 if the true mean is 0.

    Returns:
        None where the estimate has no standard error (one identity, infinities). A difference that is the same in all
        clips has 1 if it is 0, else 0.
    """
    return None if estimate.error is None or estimate.freedom is None else _p(estimate)


def _p(estimate: Estimate) -> float:
    if estimate.value == 0:
        return 1.0
    if not estimate.error or estimate.freedom is None:
        return 0.0
    return 2 * student_cdf(-abs(unskewed(estimate.value / estimate.error, estimate.skewness)), estimate.freedom)


def holm(p_values: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Adjusted p-values: those below alpha may be called differences, with at most alpha chance of any false one.

    What has no p-value stays without and counts as no comparison. Source: Holm, "A Simple Sequentially Rejective
    Multiple Test Procedure", 1979.

    Raises:
        ValueError: A p-value is not in [0, 1].

    Example:
        >>> holm({"a": 0.01, "b": 0.03, "c": 0.02})
        {'a': 0.03, 'b': 0.04, 'c': 0.04}
    """
    known = {key: p for key, p in p_values.items() if p is not None}
    for key, p in known.items():
        if math.isnan(p) or not 0 <= p <= 1:
            raise ValueError(f"the p-value of {key!r} is {p}; it must be from 0 to 1")
    adjusted: dict[Key, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for rank, key in enumerate(sorted(known, key=lambda key: known[key])):
        largest = max(largest, min(1.0, known[key] * (len(known) - rank)))
        adjusted[key] = largest
    return adjusted
