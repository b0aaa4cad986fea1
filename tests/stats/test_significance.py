"""p-values, Holm's correction, rank groups and what so few identities could find."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.stats import detectable, holm, identities_needed, mean_estimate, p_value, rank_groups
from thbench.stats.many import People, mean_estimates
from thbench.stats.skew import reskewed, unskewed


def names(k: int) -> list[str]:
    return [f"p{i}" for i in range(k)]


class TestSkew:
    @given(st.floats(-30, 30), st.floats(-2, 2))
    def test_the_correction_inverts(self, t: float, skewness: float) -> None:
        assert reskewed(unskewed(t, skewness), skewness) == pytest.approx(t, abs=1e-5)

    @given(st.floats(-30, 30), st.floats(0, 5), st.floats(-2, 2))
    def test_it_keeps_the_order(self, t: float, more: float, skewness: float) -> None:
        assert unskewed(t + more, skewness) >= unskewed(t, skewness) - 1e-9

    def test_without_skewness_it_does_nothing(self) -> None:
        for t in (1.7, -8.0):
            assert unskewed(t, 0.0) == reskewed(t, 0.0) == t

    def test_far_tails_are_not_cubed(self) -> None:
        assert unskewed(30.0, 1.5) == pytest.approx(10 * unskewed(3.0, 1.5))
        assert unskewed(-30.0, 1.5) == pytest.approx(10 * unskewed(-3.0, 1.5))


class TestPValue:
    @pytest.mark.parametrize("factor", [1.0, 8.0])
    def test_agrees_with_scipy_on_a_paired_t_test_without_skew(self, factor: float) -> None:
        scipy_stats = pytest.importorskip("scipy.stats")
        values = [0.3, 0.9, 1.5, 0.5, 1.3, 0.8, 1.0]
        values = [v - 0.9 for v in values] + [0.9 - v for v in values]
        values = [v + 0.3 * factor for v in values]
        expected = scipy_stats.ttest_1samp(values, 0).pvalue
        assert p_value(mean_estimate(values, names(14))) == pytest.approx(expected, rel=1e-9)

    def test_agrees_with_the_interval_where_both_are_the_corrected_t(self) -> None:
        rng = np.random.default_rng(0)
        for shift in np.linspace(-1.5, 1.5, 31):
            estimate = mean_estimate((rng.exponential(size=6) - 1 + shift).tolist(), names(6))
            p = p_value(estimate)
            assert estimate.interval is not None and p is not None
            assert (p < 0.05) == (not estimate.interval.low <= 0 <= estimate.interval.high)

    def test_ends(self) -> None:
        assert p_value(mean_estimate([0.0] * 5, names(5))) == 1.0
        assert p_value(mean_estimate([0.25] * 5, names(5))) == 0.0
        assert p_value(mean_estimate([1.0, 2.0], ["a", "a"])) is None
        assert p_value(mean_estimate([math.inf, 1.0], names(2))) is None

    def test_is_uniform_where_nothing_differs(self) -> None:
        rng = np.random.default_rng(1)
        found = []
        for _ in range(600):
            person = np.repeat(rng.normal(size=10), 3)
            values = person + rng.normal(size=30)
            found.append(p_value(mean_estimate(values.tolist(), np.repeat(names(10), 3).tolist(), resamples=99)))
        for level in (0.05, 0.25, 0.5):
            assert np.mean(np.array(found) < level) == pytest.approx(
                level, abs=3.5 * math.sqrt(level * (1 - level) / 600)
            )

    @pytest.mark.parametrize("k", [4, 6, 12])
    def test_chance_differences_are_rarely_far_out(self, k: int) -> None:
        """What Holm's correction lives on: without a difference, p-values of 0.001 come about once in a thousand."""
        rng = np.random.default_rng(k)
        people = People.of(names(k))
        found = [p_value(estimate) for estimate in mean_estimates(rng.normal(size=(20_000, k)), people, resamples=0)]
        assert 0.0003 < np.mean(np.array(found) < 0.001) < 0.002


class TestHolm:
    def test_agrees_with_statsmodels_published_example(self) -> None:
        """R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")."""
        found = holm(dict(enumerate([0.01, 0.02, 0.03, 0.04, 0.05])))
        assert list(found.values()) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])

    def test_missing_comparisons_neither_count_nor_get_one(self) -> None:
        assert holm({"a": None, "b": 0.02}) == {"a": None, "b": 0.02}
        assert holm({}) == {}

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms())
    def test_bounds_and_order(self, ps: list[float], shuffle: random.Random) -> None:
        keyed = list(enumerate(ps))
        found = holm(dict(keyed))
        shuffle.shuffle(keyed)
        again = holm(dict(keyed))
        for i, j in itertools.product(range(len(ps)), repeat=2):
            if ps[i] < ps[j]:
                assert found[i] <= found[j]
        for i, p in enumerate(ps):
            assert p <= found[i] <= min(1.0, p * len(ps)) + 1e-15
            assert again[i] == pytest.approx(found[i])

    def test_any_false_difference_is_as_rare_as_promised(self) -> None:
        rng = np.random.default_rng(2)
        wrong = sum(min(holm(dict(enumerate(rng.uniform(size=30)))).values()) < 0.05 for _ in range(2000))
        assert wrong / 2000 == pytest.approx(0.05, abs=0.017)

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_what_is_no_probability_is_refused(self, p: float) -> None:
        with pytest.raises(ValueError, match="'x'"):
            holm({"x": p})


class TestRanks:
    def test_a_chain_of_ties_shares_one_rank(self) -> None:
        assert rank_groups("abc", lambda a, b: (a, b) == ("a", "c")) == {"a": 1, "b": 1, "c": 1}

    def test_groups_take_up_their_places(self) -> None:
        value = {"a": 0.0, "b": 0.1, "c": 5.0, "d": 5.1, "e": 9.0}
        assert rank_groups("edcba", lambda x, y: value[x] + 1 < value[y]) == {"a": 1, "b": 1, "c": 3, "d": 3, "e": 5}

    def test_comparisons_in_a_circle_share_a_rank(self) -> None:
        beats = {("r", "s"), ("s", "p"), ("p", "r"), ("p", "x"), ("r", "x"), ("s", "x")}
        assert rank_groups("rspx", lambda a, b: (a, b) in beats) == {"r": 1, "s": 1, "p": 1, "x": 4}

    def test_nobody_and_one(self) -> None:
        assert rank_groups([], lambda a, b: True) == {}
        assert rank_groups(["a"], lambda a, b: False) == {"a": 1}

    @given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 5), st.randoms())
    def test_ties_share_and_cuts_are_told_apart(self, values: list[int], apart: int, shuffle: random.Random) -> None:
        def better(a: int, b: int) -> bool:
            return values[a] + apart < values[b]

        order = list(range(len(values)))
        shuffle.shuffle(order)
        ranks = rank_groups(order, better)
        assert ranks == rank_groups(list(range(len(values))), better)
        for a, b in itertools.permutations(order, 2):
            if not better(a, b) and not better(b, a):
                assert ranks[a] == ranks[b]
            if ranks[a] < ranks[b]:
                assert better(a, b)


class TestPower:
    def test_the_detectable_difference_is_found_as_often_as_said(self) -> None:
        rng = np.random.default_rng(3)
        spread, k = 1.0, 12
        typical = mean_estimate((rng.normal(size=k) * spread).tolist(), names(k))
        assert typical.error is not None
        effect = detectable(typical)
        assert effect is not None
        effect *= spread / math.sqrt(k) / typical.error
        found = sum(
            (p_value(mean_estimate((rng.normal(size=k) + effect).tolist(), names(k), resamples=99)) or 1) < 0.05
            for _ in range(800)
        )
        assert found / 800 == pytest.approx(0.8, abs=0.05)

    def test_needed_identities_and_detectable_difference_belong_together(self) -> None:
        estimate = mean_estimate(np.random.default_rng(4).normal(size=10).tolist(), names(10))
        effect = detectable(estimate)
        assert effect is not None
        assert identities_needed(estimate, effect * 1.0001) == 10
        assert identities_needed(estimate, effect / 2) in range(33, 41)
        assert identities_needed(estimate, -effect / 2) == identities_needed(estimate, effect / 2)

    def test_what_is_unknown(self) -> None:
        one = mean_estimate([1.0], ["a"])
        assert detectable(one) is None
        assert identities_needed(one, 1.0) is None
        equal = mean_estimate([1.0, 1.0], names(2))
        assert (detectable(equal), identities_needed(equal, 0.1), identities_needed(equal, 0)) == (0.0, 2, None)
