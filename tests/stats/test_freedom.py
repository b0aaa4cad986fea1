"""Degrees of freedom: Satterthwaite's for many clusters, those of the drawn statistic for few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.stats import mean_estimate
from thbench.stats.freedom import LEAST_FREEDOM, drawn_freedom, freedoms, satterthwaite_freedom
from thbench.stats.skew import unbiased, unskewed, unskewed_all
from thbench.stats.student import student_quantile

SIZES = [(1, 1, 1), (4, 4, 4, 4, 4), (1, 2, 2, 20), (1, 1, 3, 3, 8, 20)]


def test_equal_clusters_have_one_less_than_their_number() -> None:
    assert satterthwaite_freedom(np.full(12, 3.0)) == pytest.approx(11)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=30))
def test_satterthwaite_agrees_with_the_matrices_it_stands_for(sizes: list[int]) -> None:
    w = np.array(sizes) / sum(sizes)
    deviations = np.eye(len(w)) - np.outer(np.ones(len(w)), w)
    form = deviations.T @ np.diag(w**2 / (1 - w)) @ deviations
    expected = np.trace(form) ** 2 / np.trace(form @ form)
    found = satterthwaite_freedom(np.array(sizes, dtype=float))
    assert found == pytest.approx(expected, rel=1e-9)
    assert found <= len(w) - 1 + 1e-9


@pytest.mark.parametrize("sizes", SIZES)
def test_drawn_ones_reach_as_far_as_statistics_of_other_draws(sizes: tuple[int, ...]) -> None:
    """Through the estimator itself: normal identities, one clip value for all clips of one."""
    rng = np.random.default_rng(5)
    names = np.repeat([f"p{i}" for i in range(len(sizes))], sizes).tolist()
    reach = student_quantile(0.975, drawn_freedom(tuple(float(size) for size in sizes)))
    inside = 0
    for _ in range(2000):
        values = np.repeat(rng.normal(size=len(sizes)), sizes).tolist()
        estimate = mean_estimate(values, names, resamples=0)
        inside += abs(unskewed(estimate.value / estimate.error, estimate.skewness)) <= reach
    assert inside / 2000 == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 2000) ** 0.5)


def test_neither_order_nor_unit_of_the_sizes_matters() -> None:
    sizes = np.array([[1.0, 2.0, 5.0, 9.0], [9.0, 1.0, 5.0, 2.0]])
    found, few = freedoms(sizes)
    assert few.all() and found[0] == found[1]
    assert drawn_freedom((1.0, 2.0, 5.0, 9.0)) == drawn_freedom((2.0, 4.0, 10.0, 18.0))


def test_many_clusters_keep_satterthwaites() -> None:
    sizes = np.array([np.full(8, 3.0), np.arange(1.0, 9.0)])
    found, few = freedoms(sizes)
    assert few.tolist() == [False, True] and found[0] == pytest.approx(LEAST_FREEDOM)
    assert found[1] != satterthwaite_freedom(sizes)[1]


def test_two_clusters_have_one() -> None:
    assert freedoms(np.array([[3.0, 3.0], [1.0, 7.0]]))[0].tolist() == [1.0, 1.0]


def test_unequal_clusters_reach_farther_than_equal_ones_and_less_far_than_satterthwaite_says() -> None:
    equal, unequal = (drawn_freedom(sizes) for sizes in ((4.0,) * 5, (1.0, 1.0, 1.0, 3.0, 20.0)))
    careful = float(satterthwaite_freedom(np.array([1.0, 1.0, 1.0, 3.0, 20.0])))
    assert careful < unequal < equal


def test_the_correction_of_arrays_is_that_of_numbers() -> None:
    rng = np.random.default_rng(1)
    t, skewness = 4 * rng.normal(size=200), rng.normal(size=200)
    expected = [unskewed(a, b) for a, b in zip(t.tolist(), skewness.tolist(), strict=True)]
    assert unskewed_all(t, skewness).tolist() == pytest.approx(expected, rel=1e-12)


def test_the_unbiased_third_cumulant() -> None:
    """R's e1071::skewness, type 2: the third cumulant of samples of an exponential is 2 on average."""
    rng = np.random.default_rng(2)
    samples = rng.exponential(size=(200_000, 5))
    third = ((samples - samples.mean(axis=1, keepdims=True)) ** 3).mean(axis=1)
    assert (third * unbiased(5)).mean() == pytest.approx(2.0, rel=0.05)
