"""Quantiles of Student's t distribution, without SciPy: reading results needs only what thbench always has."""

from __future__ import annotations

import math
from functools import lru_cache

TERMS = 500
"""Most terms of the continued fraction; it converges in about the square root of the degrees of freedom."""


@lru_cache(maxsize=4096)
def student_quantile(probability: float, freedom: float) -> float:
    """The value that a t variable stays below with `probability`.

    Args:
        probability: In (0, 1).
        freedom: Degrees of freedom, above 0; need not be whole.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> round(student_quantile(0.975, 4), 4)
        2.7764
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; it must be between 0 and 1")
    if not freedom > 0:
        raise ValueError(f"degrees of freedom are {freedom}; they must be above 0")
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while student_cdf(high, freedom) < probability:
        low, high = high, high * 2
    # Bisection to the last bit: slow beside Newton's method, but it cannot fail, and a table needs few quantiles.
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if student_cdf(middle, freedom) < probability else (low, middle)
    return high


def student_cdf(value: float, freedom: float) -> float:
    """Probability that a t variable with `freedom` degrees of freedom is below `value`.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.1 with 26.5.2.
    """
    square = value * value
    x = freedom / (freedom + square)
    # Near the middle 1 - x would keep few digits of what is left.
    rest = square / (freedom + square) if x > 0.5 else 1 - x
    tail = 0.5 * _incomplete_beta(x, rest, freedom / 2, 0.5)
    return 1 - tail if value > 0 else tail


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b) for x in [0, 1].

    Continued fraction of DLMF 8.17.22 by the modified Lentz algorithm (Thompson & Barnett 1986).
    """
    return _incomplete_beta(x, 1 - x, a, b)


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """The same with 1 - x given."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        # The fraction converges fast only on this side of the mean; the other side follows by symmetry.
        return 1 - _incomplete_beta(rest, x, b, a)
    return front(x, a, b) / _fraction(x, a, b)


def front(x: float, a: float, b: float) -> float:
    """What stands before the continued fraction, for x in (0, 1)."""
    return math.exp(a * math.log(x) + b * math.log1p(-x) + front_scale(a, b))


def front_scale(a: float, b: float) -> float:
    """The part of the exponent of `front` that does not depend on x."""
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - math.log(a)


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, TERMS):
        m, odd = divmod(term, 2)
        if odd:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + step * d) or tiny)
        c = (1 + step / c) or tiny
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value
