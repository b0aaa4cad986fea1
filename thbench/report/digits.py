"""How numbers are printed: as many digits as their interval supports.

The half width of the interval is shown with two significant digits, value and ends with the same decimals: 31.24 with
[28.13, 34.33] has the half width 3.10 and is printed `31.2 [28.1, 34.3]`. Without an interval, or with one that is no
wider than the rounding of arithmetic, a value has four significant digits.
"""

from __future__ import annotations

import math

FREE_DIGITS = 4
"""Significant digits of a value whose precision nobody knows."""
INTERVAL_DIGITS = 2
"""Significant digits of the half width of an interval."""
ROUNDING = 1e-8
"""Share of the value below which a half width says nothing of clips, only of how numbers were added."""
MOST_DECIMALS = 6
"""More decimals than this are written with an exponent."""
MOST_WHOLE_DIGITS = 7
"""More digits before the point than this are written with an exponent."""


def format_value(value: float, low: float | None = None, high: float | None = None) -> str:
    """Write `value` with the digits that its interval supports.

    Raises:
        ValueError: `value` is NaN; what has no value is never printed as a number.

    Example:
        >>> format_value(0.91234, 0.8801, 0.9412), format_value(31.2), format_value(math.inf)
        ('0.912', '31.20', '∞')
    """
    return _write(value, *_style(value, low, high))


def format_interval(value: float, low: float, high: float) -> str:
    """Write the interval of `value` with the same decimals.

    Example:
        >>> format_interval(0.91234, 0.8801, 0.9412)
        '[0.880, 0.941]'
    """
    style = _style(value, low, high)
    return f"[{_write(low, *style)}, {_write(high, *style)}]"


def _style(value: float, low: float | None, high: float | None) -> tuple[int, bool]:
    """Decimals, and whether an exponent is used (decimals are then those of the mantissa)."""
    half = (high - low) / 2 if low is not None and high is not None and high > low else 0.0
    if not math.isfinite(half) or half < ROUNDING * abs(value):
        half = 0.0
    if not math.isfinite(value) or not (value or half):
        return 0, False
    magnitude = max(_exponent(number) for number in (value, half) if number)
    last = _exponent(half) - INTERVAL_DIGITS + 1 if half else magnitude - FREE_DIGITS + 1
    if -last > MOST_DECIMALS or magnitude >= MOST_WHOLE_DIGITS:
        return max(magnitude - last, 0), True
    return max(-last, 0), False


def _exponent(value: float) -> int:
    """Power of ten of the first significant digit."""
    return int(f"{value:e}".partition("e")[2])


def _write(value: float, decimals: int, exponent: bool) -> str:
    if math.isnan(value):
        raise ValueError("NaN is not printed as a number")
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{decimals}{'e' if exponent else 'f'}}"
    # Rounding may leave a minus before nothing.
    return text.removeprefix("-") if not any(digit in text.partition("e")[0] for digit in "123456789") else text
