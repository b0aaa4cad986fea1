from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from thbench.report.digits import ROUNDING, format_interval, format_value

NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False)


@pytest.mark.parametrize(
    ("value", "low", "high", "printed", "interval"),
    [
        (31.24, 28.13, 34.33, "31.2", "[28.1, 34.3]"),
        (0.91234, 0.8801, 0.9412, "0.912", "[0.880, 0.941]"),
        (0.5, 0.4999, 0.5001, "0.50000", "[0.49990, 0.50010]"),
        (1234.5, 1000, 1500, "1234", "[1000, 1500]"),
        (0.0, -0.01, 0.01, "0.000", "[-0.010, 0.010]"),
        (-0.0001, -0.5, 0.5, "0.00", "[-0.50, 0.50]"),
        (3e-9, 1e-9, 5e-9, "3.0e-09", "[1.0e-09, 5.0e-09]"),
        (0.0, -1e-9, 1e-9, "0.0e+00", "[-1.0e-09, 1.0e-09]"),
        (1.5e9, 1.4e9, 1.6e9, "1.50e+09", "[1.40e+09, 1.60e+09]"),
        (math.inf, math.inf, math.inf, "∞", "[∞, ∞]"),
        (30.0, 25.0, math.inf, "30.00", "[25.00, ∞]"),
        (1.0, 1.0, 1.0, "1.000", "[1.000, 1.000]"),
        (1.0, 1 - 2e-16, 1.0, "1.000", "[1.000, 1.000]"),
    ],
)
def test_digits_follow_the_interval(value: float, low: float, high: float, printed: str, interval: str) -> None:
    assert format_value(value, low, high) == printed
    assert format_interval(value, low, high) == interval


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (31.2345, "31.23"),
        (0.00012345, "1.234e-04"),
        (123456.0, "123456"),
        (12345678.0, "1.235e+07"),
        (-math.inf, "-∞"),
    ],
)
def test_four_digits_without_interval(value: float, printed: str) -> None:
    assert format_value(value) == printed


@given(NUMBERS, st.floats(1e-9, 1e9))
def test_rounding_is_small_beside_the_interval(value: float, half: float) -> None:
    low, high = value - half, value + half
    assume(high - low > half)
    assume(half > ROUNDING * abs(value))
    printed = float(format_value(value, low, high))
    assert abs(printed - value) <= 0.06 * half + 1e-15 * abs(value)


@given(NUMBERS)
def test_rounding_is_small_beside_the_value(value: float) -> None:
    assert float(format_value(value)) == pytest.approx(value, rel=5.01e-4)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_print_is_short_and_never_a_negative_zero(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    printed = format_value(value, low, high)
    assert len(printed) <= 32
    assert not (printed.startswith("-") and float(printed) == 0)


def test_what_has_no_value_is_never_printed() -> None:
    with pytest.raises(ValueError, match="NaN"):
        format_value(math.nan)
