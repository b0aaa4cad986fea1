"""Rank-based intervals of timings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from thbench.stats.shift import _rank_sums, _signed_ranks, enough, paired_shift, shift


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 3), (4, 4), (3, 5)])
def test_rank_sums_count_every_order(first: int, second: int) -> None:
    found = [0] * (first * second + 1)
    for chosen in itertools.combinations(range(first + second), first):
        others = [i for i in range(first + second) if i not in chosen]
        found[sum(b > a for a in chosen for b in others)] += 1
    assert _rank_sums(first, second) == tuple(found)


def test_signed_ranks_count_every_pattern() -> None:
    found = [0] * 16
    for signs in itertools.product((0, 1), repeat=5):
        found[sum(rank * sign for rank, sign in zip(range(1, 6), signs, strict=True))] += 1
    assert _signed_ranks(5) == tuple(found)


def test_the_interval_is_where_mann_whitney_does_not_reject() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=9), rng.normal(size=11) + 1
    found = shift(a, b)
    assert found is not None
    for moved, inside in ((found.low - 1e-9, False), (found.low + 1e-9, True), (found.high - 1e-9, True)):
        p = scipy_stats.mannwhitneyu(a, b - moved, method="exact").pvalue
        assert (p > 0.05) == inside


def test_the_interval_is_where_wilcoxon_does_not_reject() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    d = np.random.default_rng(1).normal(size=10) + 0.5
    found = paired_shift(d)
    assert found is not None
    for moved, inside in ((found.low - 1e-9, False), (found.low + 1e-9, True), (found.high + 1e-9, False)):
        assert (scipy_stats.wilcoxon(d - moved, method="exact").pvalue > 0.05) == inside


def test_too_few_have_no_interval() -> None:
    assert shift([1.0] * 3, [2.0] * 4) is None
    assert shift([], [1.0] * 99) is None
    assert paired_shift([1.0] * 5) is None
    assert paired_shift([]) is None


def test_what_does_not_overlap_is_always_told_apart() -> None:
    """No number of samples that is allowed may be blind, as six against six is to a test that wants p < 0.002."""
    for first, second in itertools.product(range(1, 14), repeat=2):
        found = shift([float(i) for i in range(first)], [100.0 + i for i in range(second)])
        assert (found is not None) == enough(first, second)
        assert found is None or found.low > 0, (first, second)
    for n in range(6, 25):
        pairs = paired_shift([1.0 + i for i in range(n)])
        assert pairs is not None and pairs.low > 0, n


@pytest.mark.parametrize("sizes", [(4, 4), (6, 6), (12, 12), (5, 20)])
def test_intervals_hold_their_level_for_heavy_tails(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(1000):
        found = shift(rng.standard_cauchy(sizes[0]), rng.standard_cauchy(sizes[1]) + 3)
        held += found.low <= 3 <= found.high
    assert held / 1000 >= 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / 1000)


def test_one_spike_does_not_move_it_far() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=20), rng.normal(size=20)
    spiked = b.copy()
    spiked[0] = 1e9
    before, after = shift(a, b), shift(a, spiked)
    assert abs(after.value - before.value) < 0.3
    assert after.high - after.low < 1.5 * (before.high - before.low)
