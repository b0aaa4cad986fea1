from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.stats.student import incomplete_beta, student_cdf, student_quantile

FREEDOMS = [0.5, 1.0, 1.4, 2.0, 3.7, 7.0, 23.0, 200.0, 5000.0]


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("probability", [0.0025, 0.1, 0.5, 0.9, 0.975, 0.9995])
def test_quantile_agrees_with_scipy(freedom: float, probability: float) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    assert student_quantile(probability, freedom) == pytest.approx(scipy_stats.t.ppf(probability, freedom), rel=1e-9)


def test_quantile_of_one_degree_of_freedom_is_that_of_the_cauchy_distribution() -> None:
    assert student_quantile(0.975, 1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)


def test_quantile_of_many_degrees_of_freedom_is_normal() -> None:
    assert student_quantile(0.975, 1e7) == pytest.approx(1.959963984540054, rel=1e-6)


@given(st.floats(0.001, 0.999), st.floats(0.3, 1e4))
def test_quantile_inverts_the_distribution(probability: float, freedom: float) -> None:
    assert student_cdf(student_quantile(probability, freedom), freedom) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize("freedom", [0.4, 3.0, 8476.0, 1e6])
def test_probabilities_near_the_middle_keep_their_digits(freedom: float) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    for value in (1e-12, 1e-8, 2e-4, 0.01):
        expected = float(scipy_stats.t.cdf(value, freedom)) - 0.5
        assert student_cdf(value, freedom) - 0.5 == pytest.approx(expected, rel=1e-9, abs=2e-16)
        assert student_cdf(-value, freedom) - 0.5 == pytest.approx(-expected, rel=1e-9, abs=2e-16)


@pytest.mark.parametrize(("x", "expected"), [(0.0, 0.0), (1.0, 1.0), (-1.0, 0.0), (2.0, 1.0), (0.5, 0.5)])
def test_incomplete_beta_at_its_ends_and_middle(x: float, expected: float) -> None:
    assert incomplete_beta(x, 2.5, 2.5) == pytest.approx(expected)


@pytest.mark.parametrize(("probability", "freedom"), [(0.0, 3), (1.0, 3), (0.5, 0), (0.5, -1), (math.nan, 3)])
def test_impossible_arguments_are_refused(probability: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        student_quantile(probability, freedom)
