"""Hall's correction of the t statistic for skewness, a monotone cubic polynomial with a closed inverse.

With few identities, the t statistic of a skewed metric is skewed the other way and plain t intervals miss on one side.
T + g T^2 / 3 + g^2 T^3 / 27 + g / 6 has no skewness to first order, where g is the third standardised moment of the
mean. Source: Hall, "On the Removal of Skewness by Transformation", 1992, equation 3.
"""

from __future__ import annotations

import math

FLAT = 1e-9
"""Below this skewness the correction is smaller than rounding errors of its inverse."""


def unskewed(t: float, skewness: float) -> float:
    """The corrected statistic.

    Args:
        t: (mean - true mean) / standard error.
        skewness: Sum of cubed deviations of the clusters' shares of the mean, over the cubed standard error.
    """
    return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6


def reskewed(corrected: float, skewness: float) -> float:
    """The t statistic whose corrected value is `corrected`.

    Example:
        >>> round(reskewed(unskewed(1.3, 0.8), 0.8), 12)
        1.3
    """
    if abs(skewness) < FLAT:
        return corrected
    return 3 / skewness * (math.cbrt(1 + skewness * (corrected - skewness / 6)) - 1)
