"""How far one set of timings lies from another: rank-based intervals that a single spike cannot move.

Timings have rare large spikes and drift, so means and their standard errors say little. The Hodges-Lehmann estimate is
the median of all differences, and its interval follows exactly from the distribution of the Mann-Whitney statistic,
whatever the distribution of the timings (Hollander, Wolfe & Chicken 2014, sections 4.2 and 4.3; for pairs 3.2 and 3.3).
An interval is only given where it can exclude 0 at all: a test whose smallest p-value is above its threshold can never
find anything, however large the difference.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEVEL = 0.95


class Shift(NamedTuple):
    """A difference with its interval."""

    value: float
    """Median of the differences."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def shift(a: Sequence[float], b: Sequence[float], *, level: float = LEVEL) -> Shift | None:
    """How much larger b is than a, for independent samples.

    Returns:
        None if there are too few for an interval of this level; see `enough`.

    Example:
        >>> shift([1.0, 1.1, 0.9, 1.2], [2.0, 2.1, 1.9, 2.2]).value
        1.0
    """
    if not enough(len(a), len(b), level):
        return None
    differences = np.sort(np.subtract.outer(np.asarray(b, float), np.asarray(a, float)).ravel())
    return _ends(differences, _tail(_rank_sums(len(a), len(b)), level))


def paired_shift(differences: Sequence[float], *, level: float = LEVEL) -> Shift | None:
    """The centre of paired differences, with the interval of Wilcoxon's signed-rank statistic.

    Returns:
        None if there are too few for an interval of this level: fewer than six for 95 %.
    """
    d = np.asarray(differences, float)
    if not len(d) or 2 * 0.5 ** len(d) > 1 - level:
        return None
    rows, columns = np.triu_indices(len(d))
    averages = np.sort((d[rows] + d[columns]) / 2)
    return _ends(averages, _tail(_signed_ranks(len(d)), level))


def enough(first: int, second: int, level: float = LEVEL) -> bool:
    """Whether samples of these sizes can be told apart at all: whether the smallest two-sided p-value is low enough.

    Example:
        >>> enough(4, 4), enough(3, 4), enough(3, 5)
        (True, False, True)
    """
    return min(first, second) > 0 and 2 / math.comb(first + second, first) <= 1 - level


def _ends(ordered: NDArray[np.float64], skipped: int) -> Shift:
    return Shift(float(np.median(ordered)), float(ordered[skipped]), float(ordered[-1 - skipped]))


def _tail(counts: tuple[int, ...], level: float) -> int:
    """How many of the ordered differences lie below the interval: the largest k with P(statistic <= k) <= alpha / 2.

    Args:
        counts: How many of the equally likely orders give each value of the statistic, from 0.
        level: Nominal coverage.
    """
    # Whole numbers until the last step: with many samples the counts are beyond floats.
    total, below = sum(counts), 0
    for k, count in enumerate(counts):
        below += count
        if below / total > (1 - level) / 2:
            return k - 1
    return len(counts) - 1


@lru_cache(maxsize=512)
def _rank_sums(first: int, second: int) -> tuple[int, ...]:
    """How many orders of both samples have each value of the Mann-Whitney statistic (Mann & Whitney 1947)."""
    # Coefficients of the Gaussian binomial: multiply by (1 - x^(second + i)), divide by (1 - x^i).
    size = first * second
    counts = [1] + [0] * size
    for i in range(1, first + 1):
        for u in range(size, second + i - 1, -1):
            counts[u] -= counts[u - second - i]
        for u in range(i, size + 1):
            counts[u] += counts[u - i]
    return tuple(counts)


@lru_cache(maxsize=512)
def _signed_ranks(n: int) -> tuple[int, ...]:
    """How many of the 2^n sign patterns have each value of Wilcoxon's statistic."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for w in range(len(counts) - 1, rank - 1, -1):
            counts[w] += counts[w - rank]
    return tuple(counts)
