"""Many rows at once give what one row at a time gives, to the last bit."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thbench.stats import holm, mean_estimate, p_value, rank_groups
from thbench.stats.many import (
    People,
    exact_sums,
    holm_adjusted,
    mean_estimates,
    means_of,
    ranks_of,
    student_tails,
    sums_of,
)
from thbench.stats.student import student_cdf

KINDS = ("normal", "whole", "equal", "skewed", "nearly equal", "zeros", "huge", "tiny", "mixed sizes")


def matrix(kind: str, rows: int, clips: int, rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(size=(rows, clips))
    return {
        "normal": 30 + values,
        "whole": np.round(values * 2),
        "equal": np.broadcast_to(values[:, :1], values.shape).copy(),
        "skewed": np.exp(3 * values),
        "nearly equal": 1.0 + 1e-12 * values,
        "zeros": np.where(values > 1.2, values, 0.0),
        "huge": values * 1e300,
        "tiny": values * 1e-305,
        "mixed sizes": values * 10.0 ** rng.integers(-12, 12, size=values.shape),
    }[kind]


def same(ours: float, theirs: float | None) -> bool:
    return math.isnan(ours) if theirs is None else ours == theirs or (math.isnan(ours) and math.isnan(theirs))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(1, 25), st.integers(1, 60), st.integers(1, 14), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.02, 0.4]), st.sampled_from([0, 199]),
)  # fmt: skip
def test_estimates_are_those_of_single_rows(
    kind: str, rows: int, clips: int, people: int, seed: int, gaps: float, resamples: int
) -> None:
    rng = np.random.default_rng(seed)
    values = matrix(kind, rows, clips, rng)
    values[rng.random(values.shape) < gaps] = np.nan
    if gaps:
        values[rng.random(values.shape) < 0.003] = np.inf
    names = [f"p{rng.integers(people)}" for _ in range(clips)]
    found = mean_estimates(values, People.of(names), resamples=resamples)
    for row, estimate in zip(values, found, strict=True):
        known = np.flatnonzero(~np.isnan(row))
        if not len(known):
            assert estimate is None
            continue
        expected = mean_estimate(row[known].tolist(), [names[c] for c in known], resamples=resamples)
        assert estimate is not None
        assert (estimate == expected) or (math.isnan(estimate.value) and math.isnan(expected.value))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(KINDS), st.integers(1, 25), st.integers(1, 60), st.integers(1, 14), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.02, 0.4]),
)  # fmt: skip
def test_means_and_p_values_are_those_of_single_rows(
    kind: str, rows: int, clips: int, people: int, seed: int, gaps: float
) -> None:
    rng = np.random.default_rng(seed)
    values = matrix(kind, rows, clips, rng)
    entered = rng.random(values.shape) >= gaps
    entered[:, 0] = True
    names = [f"p{rng.integers(people)}" for _ in range(clips)]
    arranged = People.of(names)
    order = arranged.order
    found = means_of(sums_of(values[:, order], entered[:, order] if gaps else None, arranged))
    ps = found.p_values()
    for i, row in enumerate(values):
        known = np.flatnonzero(entered[i]) if gaps else range(clips)
        expected = mean_estimate([float(row[c]) for c in known], [names[c] for c in known], resamples=0)
        assert found.value[i] == expected.value
        assert (found.count[i], found.clusters[i]) == (expected.n, expected.clusters)
        assert same(float(found.error[i]), expected.error)
        assert same(float(found.freedom[i]), expected.freedom)
        assert found.skewness[i] == expected.skewness
        assert same(float(ps[i]), p_value(expected))


@pytest.mark.parametrize("seed", range(40))
def test_means_below_the_smallest_normal_number_are_those_of_single_rows(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(20, 24)) * 1e-306
    found = means_of(sums_of(values, None, People.of(["p0"] * 24))).value
    single = [mean_estimate(row.tolist(), ["p0"] * 24, resamples=0).value for row in values]
    assert found.tolist() == single
    assert any(0 < abs(value) < np.finfo(float).tiny for value in single) or seed


def test_the_number_of_rows_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(150, 90))
    people = People.of([f"p{i % 11}" for i in range(90)])
    together = mean_estimates(values, people)
    assert together == [mean_estimates(values[i : i + 1], people)[0] for i in range(150)]
    assert mean_estimates(values[:0], people) == []


@settings(max_examples=200, deadline=None)
@example([-4.9896007738368e291, 8.988465674311579e307, 8.98846567431158e307])
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False, width=64),
            st.floats(-1, 1),
            st.sampled_from([1.0, 2.0**-53, -(2.0**-53), 2.0**-54, 1.0 + 2.0**-52, 0.0]),
        ),
        max_size=40,
    )
)
def test_sums_are_rounded_once(numbers: list[float]) -> None:
    try:
        expected = float(sum(map(Fraction, numbers)))
    except OverflowError:
        return
    found = exact_sums(np.array([numbers, numbers[::-1]]).reshape(2, len(numbers)))
    assert found.tolist() == [expected, expected]


def test_tails_are_those_of_single_statistics() -> None:
    rng = np.random.default_rng(0)
    statistic = -np.abs(rng.normal(size=3000) * 10 ** rng.uniform(-8, 8, 3000))
    freedom = rng.uniform(0.5, 300, 3000)
    expected = [student_cdf(t, f) for t, f in zip(statistic.tolist(), freedom.tolist(), strict=True)]
    assert student_tails(statistic, freedom).tolist() == expected


@given(st.lists(st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.01, 1.0])), max_size=30))
def test_holm_is_that_of_single_comparisons(ps: list[float | None]) -> None:
    expected = holm(dict(enumerate(ps)))
    found = holm_adjusted(np.array([math.nan if p is None else p for p in ps], float))
    assert all(same(ours, expected[i]) for i, ours in enumerate(found.tolist()))


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_ranks_are_those_of_pairs(count: int, chance: random.Random) -> None:
    better = np.zeros((count, count), bool)
    for a in range(count):
        for b in range(a):
            way = chance.choice([(a, b), (b, a), None])
            if way:
                better[way] = True
    expected = rank_groups(range(count), lambda a, b: bool(better[a, b]))
    assert ranks_of(better).tolist() == [expected[i] for i in range(count)]


@pytest.mark.parametrize("resamples", [0, 999])
def test_rows_of_different_gaps_share_nothing(resamples: int) -> None:
    """A row whose people are others has resamples of its own."""
    rng = np.random.default_rng(8)
    values = rng.exponential(size=(6, 40))
    names = [f"p{i // 4}" for i in range(40)]
    for row in range(6):
        values[row, 4 * row : 4 * row + 4] = np.nan
    found = mean_estimates(values, People.of(names), resamples=resamples)
    for row, estimate in zip(values, found, strict=True):
        known = np.flatnonzero(~np.isnan(row))
        assert estimate == mean_estimate(row[known].tolist(), [names[c] for c in known], resamples=resamples)
