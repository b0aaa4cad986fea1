"""Hall's correction of the t statistic for skewness, a monotone cubic polynomial with a closed inverse.

With few identities, the t statistic of a skewed metric is skewed the other way and plain t intervals miss on one side.
T + g T^2 / 3 + g^2 T^3 / 27 + g / 6 has no skewness to first order, where g is the third standardised moment of the
mean. Source: Hall, "On the Removal of Skewness by Transformation", 1992, equation 3.

It is an expansion around 0 and says nothing of far tails, where its cube would make p-values of chance differences ten
times too small. Beyond three standard errors the correction therefore grows in proportion to T.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Number = TypeVar("Number", float, "Floats")

FLAT = 1e-9
"""Below this skewness the correction is smaller than rounding errors of its inverse."""
BEND = 3.0
"""Standard errors beyond which the correction is in proportion to T."""


def unbiased(clusters: float) -> float:
    """What the skewness of so few clusters is to be multiplied with, to be that of all there are on average.

    The unbiased third cumulant (Fisher 1930): k^2 / (k - 1) / (k - 2). Two clusters say nothing of skewness.

    Example:
        >>> unbiased(4)
        2.6666666666666665
    """
    return clusters**2 / ((clusters - 1) * (clusters - 2)) if clusters > 2 else 0.0


def unskewed(t: float, skewness: float) -> float:
    """The corrected statistic.

    Args:
        t: (mean - true mean) / standard error.
        skewness: Sum of cubed deviations of the clusters' shares of the mean, over the cubed standard error, unbiased.
    """
    if abs(t) <= BEND:
        return _cubic(t, skewness)
    return _cubic(math.copysign(BEND, t), skewness) * (abs(t) / BEND)


def unskewed_all(t: Floats, skewness: Floats) -> Floats:
    """The same for arrays."""
    far = np.maximum(np.abs(t) / BEND, 1.0)
    return _cubic(t / far, skewness) * far


def reskewed(corrected: float, skewness: float) -> float:
    """The t statistic whose corrected value is `corrected`.

    Example:
        >>> round(reskewed(unskewed(1.3, 0.8), 0.8), 12)
        1.3
    """
    if abs(skewness) < FLAT:
        return corrected
    # The polynomial has the sign of T at the bend, whatever the skewness.
    edge = abs(_cubic(math.copysign(BEND, corrected), skewness))
    if abs(corrected) > edge:
        return BEND * corrected / edge
    return 3 / skewness * (math.cbrt(1 + skewness * (corrected - skewness / 6)) - 1)


def _cubic(t: Number, skewness: Number) -> Number:
    return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
