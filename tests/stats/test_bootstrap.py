from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thbench.stats import Estimate, Interval, mean_estimate, paired_difference, resample_counts
from thbench.stats.bootstrap import _resampled, _Sample, on_grid
from thbench.stats.freedom import drawn_freedom
from thbench.stats.skew import unbiased, unskewed
from thbench.stats.student import student_quantile

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def interval_of(estimate: Estimate) -> Interval:
    assert estimate.interval is not None, estimate.reason
    return estimate.interval


def people(count: int, clips_each: int = 1) -> list[str]:
    return [f"p{i // clips_each}" for i in range(count)]


class TestMean:
    def test_every_clip_has_the_same_weight(self) -> None:
        """The mean of means of identities would be 3.5."""
        assert mean_estimate([1.0, 1.0, 1.0, 6.0], ["a", "a", "a", "b"]).value == 2.25

    @given(VALUES, st.randoms())
    @settings(max_examples=50, deadline=None)
    def test_order_of_clips_does_not_matter(self, values: list[float], shuffle: random.Random) -> None:
        clusters = [f"p{i % 5}" for i in range(len(values))]
        order = list(range(len(values)))
        shuffle.shuffle(order)
        assert mean_estimate(values, clusters, resamples=99) == mean_estimate(
            [values[i] for i in order], [clusters[i] for i in order], resamples=99
        )

    @given(VALUES)
    @settings(max_examples=50, deadline=None)
    def test_lies_within_its_interval_and_its_values(self, values: list[float]) -> None:
        estimate = mean_estimate(values, [f"p{i % 9}" for i in range(len(values))], resamples=99)
        assert min(values) <= estimate.value <= max(values)
        if estimate.interval is not None:
            assert estimate.interval.low <= estimate.value <= estimate.interval.high

    def test_same_seed_same_interval_other_seed_other_interval(self) -> None:
        values = np.random.default_rng(0).normal(size=30).tolist()
        first, again, other = (mean_estimate(values, people(30), seed=s) for s in (1, 1, 2))
        assert first == again
        assert first.interval != other.interval
        assert interval_of(other).high == pytest.approx(interval_of(first).high, abs=0.05)

    @pytest.mark.parametrize("values", [[1e308, 1.5e308, 1.7e308, 1e308], [1e-310, 2e-310, 4e-310]])
    def test_extreme_magnitudes_do_not_overflow_or_vanish(self, values: list[float]) -> None:
        estimate = mean_estimate(values, people(len(values)))
        assert min(values) < estimate.value < max(values)
        assert interval_of(estimate).low < estimate.value < interval_of(estimate).high


class TestInterval:
    def test_is_that_of_t_for_few_identities_without_skew(self) -> None:
        values = [2.1, 2.7, 3.2, 3.7, 4.3]
        found = interval_of(mean_estimate(values, people(5)))
        reach = student_quantile(0.975, drawn_freedom((1.0,) * 5)) * np.std(values, ddof=1) / math.sqrt(5)
        assert found.method == "skew-t"
        assert (found.low, found.high) == pytest.approx((3.2 - reach, 3.2 + reach), rel=1e-9)

    def test_few_identities_with_skew_shift_the_interval_towards_the_long_tail(self) -> None:
        """Hall's interval, written out: where the corrected statistic of a candidate mean stays within t's quantile."""
        values = np.array([0.1, 0.2, 0.2, 0.4, 3.0])
        found = interval_of(mean_estimate(values.tolist(), people(5)))
        error = values.std(ddof=1) / math.sqrt(5)
        third = float((((values - values.mean()) / 5) ** 3).sum()) / error**3 * unbiased(5)
        reach = student_quantile(0.975, drawn_freedom((1.0,) * 5))
        for end, sign in ((found.low, 1), (found.high, -1)):
            assert unskewed((values.mean() - end) / error, third) == pytest.approx(sign * reach)
        assert found.high - values.mean() > 2 * (values.mean() - found.low)

    def test_clips_of_one_identity_that_are_equal_are_no_news(self) -> None:
        values = [3.1, 2.7, 4.4, 3.9, 2.2]
        once = interval_of(mean_estimate(values, people(5)))
        often = interval_of(mean_estimate(np.repeat(values, 50).tolist(), people(250, clips_each=50)))
        assert (often.low, often.high) == pytest.approx((once.low, once.high), rel=1e-12)

    def test_bootstrap_t_agrees_with_t_for_many_normal_identities(self) -> None:
        scipy_stats = pytest.importorskip("scipy.stats")
        values = np.random.default_rng(1).normal(size=400)
        expected = scipy_stats.t.interval(0.95, 399, loc=values.mean(), scale=scipy_stats.sem(values))
        found = interval_of(mean_estimate(values.tolist(), people(400), resamples=19999))
        assert found.method == "bootstrap-t"
        assert (found.low, found.high) == pytest.approx(expected, abs=0.006)

    def test_bootstrap_t_follows_the_skew(self) -> None:
        values = np.random.default_rng(2).exponential(size=40)
        estimate = mean_estimate(values.tolist(), people(40))
        found = interval_of(estimate)
        assert found.high - estimate.value > 1.2 * (estimate.value - found.low)

    def test_bootstrap_t_against_a_plain_loop(self) -> None:
        """The vectorised resampling against one written clip by clip, with unequal clusters."""
        rng = np.random.default_rng(3)
        groups = [rng.normal(size=size) for size in (3, 4, 3, 5, 4, 3, 4, 5, 3, 4)]
        values = [float(v) for group in groups for v in group]
        names = [f"p{i}" for i, group in enumerate(groups) for _ in group]
        ratios = []
        for counts in resample_counts(10, 199, 7):
            drawn = [groups[i] for i, count in enumerate(counts) for _ in range(count)]
            ratios.append((np.concatenate(drawn).mean() - np.mean(values)) / cr2_error(drawn))
        ratios.sort()
        error = cr2_error(groups)
        found = interval_of(mean_estimate(values, names, resamples=199, seed=7))
        assert found.method == "bootstrap-t"
        expected = (np.mean(values) - ratios[194] * error, np.mean(values) - ratios[4] * error)
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)

    def test_blocks_do_not_change_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(4).normal(size=20).tolist()
        whole = mean_estimate(values, people(20), resamples=499)
        monkeypatch.setattr("thbench.stats.bootstrap.BLOCK", 60)
        assert mean_estimate(values, people(20), resamples=499) == whole

    def test_equal_values_have_an_interval_without_width(self) -> None:
        estimate = mean_estimate([0.1] * 30, people(30))
        assert (estimate.value, interval_of(estimate).low, interval_of(estimate).high) == (0.1, 0.1, 0.1)

    def test_resamples_without_spread_fall_back_to_t(self) -> None:
        """One clip in twenty differs: a third of all resamples miss it, and bootstrap-t would have no end."""
        found = interval_of(mean_estimate([0.0] * 19 + [1.0], people(20)))
        assert found.method == "skew-t"
        assert math.isfinite(found.low)
        assert math.isfinite(found.high)

    def test_one_identity_has_no_interval(self) -> None:
        estimate = mean_estimate([1.0, 2.0], ["a", "a"])
        assert (estimate.value, estimate.interval, estimate.reason) == (1.5, None, "only one identity")

    def test_higher_level_is_wider(self) -> None:
        values = np.random.default_rng(5).normal(size=12).tolist()
        narrow, wide = (interval_of(mean_estimate(values, people(12), level=level)) for level in (0.8, 0.99))
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_clipping_keeps_to_the_range_of_the_metric(self) -> None:
        interval = Interval(-0.2, 1.3, 0.95, "t", 5, 5)
        assert (interval.clipped(0, 1).low, interval.clipped(0, 1).high) == (0, 1)
        assert interval.clipped(-math.inf, math.inf) == interval


class TestError:
    def test_standard_error_is_unbiased_when_clusters_vary_alike(self) -> None:
        """CR2 removes the bias of the plain cluster-robust variance for clusters of equal size."""
        rng = np.random.default_rng(6)
        sizes = np.full(5, 4.0)
        squares = [
            _resampled(np.ones((1, 5)), _Sample((u - u.mean()) * sizes, sizes))[1][0] ** 2
            for u in rng.normal(size=(4000, 5))
        ]
        assert np.mean(squares) == pytest.approx(1 / 5, rel=0.04)


class TestInfinite:
    def test_all_infinite(self) -> None:
        estimate = mean_estimate([math.inf] * 4, people(4))
        assert (estimate.value, interval_of(estimate).low, interval_of(estimate).high) == (math.inf,) * 3

    def test_some_infinite(self) -> None:
        estimate = mean_estimate([math.inf, 30.0, 31.0], people(3))
        assert (estimate.value, estimate.interval) == (math.inf, None)
        assert estimate.reason == "1 of 3 values are infinite"

    def test_both_infinities(self) -> None:
        estimate = mean_estimate([math.inf, -math.inf], people(2))
        assert math.isnan(estimate.value)
        assert estimate.interval is None
        assert estimate.reason

    def test_one_identity(self) -> None:
        assert mean_estimate([math.inf], ["a"]).reason == "only one identity"


class TestPairs:
    def test_difficulty_of_clips_cancels(self) -> None:
        rng = np.random.default_rng(8)
        hard = rng.normal(scale=10, size=20)
        a = {f"c{i}": float(v) for i, v in enumerate(hard + 0.5 + 0.01 * rng.normal(size=20))}
        b = {f"c{i}": float(v) for i, v in enumerate(hard)}
        found = paired_difference(a, b, {clip: clip for clip in a})
        assert found.estimate is not None
        assert interval_of(found.estimate).low > 0.48
        assert interval_of(found.estimate).high < 0.52

    def test_sides_exchanged_change_the_sign(self) -> None:
        rng = np.random.default_rng(9)
        a, b = ({f"c{i}": float(v) for i, v in enumerate(rng.normal(size=15))} for _ in range(2))
        there, back = paired_difference(a, b, {c: c for c in a}), paired_difference(b, a, {c: c for c in a})
        assert there.estimate is not None
        assert back.estimate is not None
        assert there.estimate.value == -back.estimate.value
        assert interval_of(there.estimate).low == pytest.approx(-interval_of(back.estimate).high, rel=1e-9)

    def test_what_does_not_enter_is_counted(self) -> None:
        a = {"x": 1.0, "y": math.inf, "z": math.inf, "only": 1.0}
        b = {"x": 3.0, "y": math.inf, "z": 0.0, "p": 1.0, "q": 1.0}
        found = paired_difference(a, b, dict.fromkeys("xyz", "ann"))
        assert (found.pairs, found.only_a, found.only_b, found.undefined) == (2, 1, 2, 1)
        assert found.estimate is not None
        assert found.estimate.value == math.inf

    def test_no_pair_gives_no_estimate(self) -> None:
        assert paired_difference({"x": 1.0}, {"y": 1.0}, {}).estimate is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.randoms())
@example([2.2250738585e-313, 5e-324], random.Random(0))
def test_sums_on_the_grid_are_exact_in_any_order(numbers: list[float], shuffle: random.Random) -> None:
    drawn = shuffle.choices(on_grid(np.array(numbers), 200).tolist(), k=200)
    total = math.fsum(drawn)
    assert sum(drawn) == sum(sorted(drawn)) == total
    assert on_grid(np.array(numbers), 200) == pytest.approx(np.array(numbers), abs=1e-12 * max(map(abs, numbers)))


def test_resamples_are_fair_and_read_only() -> None:
    counts = resample_counts(6, 20000, 0)
    assert (counts.sum(axis=1) == 6).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.03)
    assert counts.var(axis=0) == pytest.approx(np.full(6, 5 / 6), abs=0.04)
    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 9


@pytest.mark.parametrize(
    ("values", "clusters", "options", "message"),
    [
        ([], [], {}, "no value"),
        ([1.0], ["a", "b"], {}, "2 clusters"),
        ([1.0, math.nan], ["a", "b"], {}, "NaN"),
        ([1.0], ["a"], {"level": 1.0}, "level is 1.0"),
        ([1.0], ["a"], {"resamples": 10}, "10 resamples are too few"),
    ],
)
def test_impossible_arguments_are_refused(values, clusters, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        mean_estimate(values, clusters, **options)


def cr2_error(groups: list[np.ndarray]) -> float:
    """Bell & McCaffrey's standard error of a mean, written out."""
    total = sum(len(group) for group in groups)
    mean = np.concatenate(groups).mean()
    return math.sqrt(sum((group - mean).sum() ** 2 / (1 - len(group) / total) for group in groups)) / total
