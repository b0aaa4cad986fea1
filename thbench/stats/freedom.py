"""Degrees of freedom of a mean of clusters: how much less a t statistic knows than a normal one.

With many clusters they are Satterthwaite's. With few, his approximation is too careful for clusters of very unequal
size (intervals of 95 % hold 98 %), and it knows nothing of the correction for a skewness that is itself uncertain.
There, the statistic itself is drawn: normal clusters of these sizes, with means that vary alike. The degrees of freedom
are those with which Student's t reaches as far as the drawn statistic does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from thbench.stats.skew import unbiased, unskewed_all
from thbench.stats.student import student_cdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

LEVEL = 0.95
"""Share of intervals that are to hold the true mean."""
LEAST_FREEDOM = 7.0
"""Satterthwaite's degrees of freedom below which the statistic is drawn: fewer than eight clusters of equal size."""
DRAWS = 2**16
"""The drawn reach is then within 1 % of the true one, and coverage within 0.2 %."""


def freedoms(sizes: Floats) -> tuple[Floats, Truths]:
    """Degrees of freedom of the t statistic, corrected for skewness, if the means of all clusters vary alike.

    Args:
        sizes: Shape (rows, clusters): values in each cluster; at least two clusters.

    Returns:
        Degrees of freedom, and where clusters are so few that they were drawn; both of shape (rows,).
    """
    found = satterthwaite_freedom(sizes)
    few = found < LEAST_FREEDOM - 1e-9
    for row in np.flatnonzero(few):
        found[row] = drawn_freedom(tuple(sorted(sizes[row].tolist())))
    return found, few


def satterthwaite_freedom(sizes: Floats) -> Floats:
    """Degrees of freedom of the CR2 standard error, if the means of all clusters vary alike.

    `clusters - 1` for clusters of equal size, less for others (Bell & McCaffrey 2002). The variance estimate is the
    quadratic form u'Bu with B = sum_k c_k (1_k - w)(1_k - w)', c_k = w_k^2 / (1 - w_k) and w the clusters' shares; the
    result is tr(B)^2 / tr(B^2), written out so that it takes time linear in the number of clusters.

    Args:
        sizes: Shape (..., clusters): values in each cluster; at least two clusters.

    Returns:
        Shape (...).
    """
    w = sizes / sizes.sum(axis=-1, keepdims=True)
    c = w**2 / (1 - w)
    square = (w**2).sum(axis=-1)
    trace = (c * (1 - 2 * w + square[..., None])).sum(axis=-1)
    p = square[..., None] / 2 - w
    cross = 2 * (c * p**2).sum(axis=-1) * c.sum(axis=-1) + 2 * (c * p).sum(axis=-1) ** 2
    trace_of_square = (c**2 * (1 + 2 * (square[..., None] - 2 * w))).sum(axis=-1) + cross
    return np.asarray(trace**2 / trace_of_square)


@lru_cache(maxsize=4096)
def drawn_freedom(sizes: tuple[float, ...]) -> float:
    """Degrees of freedom with which 95 % of Student's t reach as far as 95 % of the drawn statistics.

    Args:
        sizes: Values in each cluster, rising, so that their order does not matter; at least two.
    """
    clusters = len(sizes)
    if clusters == 2:
        # One difference is all there is: no skewness, and one degree of freedom.
        return 1.0
    w = np.array(sizes) / sum(sizes)
    means = np.random.default_rng(0).standard_normal((DRAWS, clusters))
    shifts = (means * w).sum(axis=1)
    shares = (means - shifts[:, None]) * w
    errors = np.sqrt((shares**2 / (1 - w)).sum(axis=1))
    skewness = unbiased(clusters) * ((shares / errors[:, None]) ** 3).sum(axis=1)
    reach = float(np.quantile(np.abs(unskewed_all(shifts / errors, skewness)), LEVEL))
    # Digits beyond the draws' own precision are dropped: they may differ from machine to machine.
    return _with_reach(float(f"{reach:.4g}"))


def _with_reach(reach: float) -> float:
    """Degrees of freedom of which 95 % lie within `reach`."""
    low, high = 2.0**-4, 2.0**10
    for _ in range(40):
        middle = math.sqrt(low * high)
        within = 1 - 2 * student_cdf(-reach, middle)
        low, high = (middle, high) if within < LEVEL else (low, middle)
    return round(high, 4)
