"""Frechet distance and moments: oracles, analytic values, merging, degenerate sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from thbench.metrics.frechet import (
    FrechetDistance,
    fid_infinity,
    frechet_distance,
    small_sample_warning,
    split_floor,
)
from thbench.metrics.moments import Accumulator, DegenerateSetError, Moments, merge, moments

DIMENSION = 48


def features(count: int, *, rank: int | None = None, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    """Correlated features with a decaying spectrum, of full or lower rank."""
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((DIMENSION, DIMENSION)) * 0.95 ** np.arange(DIMENSION)
    if rank is not None:
        mix = np.random.default_rng(98).standard_normal((rank, DIMENSION))
    return random.standard_normal((count, len(mix))) @ mix * scale + 0.7


def by_singular_values(x: np.ndarray, y: np.ndarray, ddof: int) -> float:
    """The definition through the centred features, exact for any number and rank."""
    a, b = ((z - z.mean(axis=0)) / math.sqrt(len(z) - ddof) for z in (x, y))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * root)


def by_sqrtm(x: np.ndarray, y: np.ndarray, ddof: int) -> float:
    """pytorch-fid's formula, with scipy's matrix square root."""
    a, b = (np.cov(z, rowvar=False, ddof=ddof) for z in (x, y))
    root = np.trace(scipy.linalg.sqrtm(a @ b).real)
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * root)


SETS = {
    "below": (features(20), features(31, scale=1.2, seed=1)),
    "equal": (features(DIMENSION), features(DIMENSION, scale=1.2, seed=1)),
    "above": (features(400), features(300, scale=1.2, seed=1)),
    "one of each": (features(30), features(300, scale=1.2, seed=1)),
    "low rank": (features(200, rank=7), features(150, rank=7, scale=1.3, seed=1)),
    "low rank, few": (features(30, rank=7), features(150, rank=7, scale=1.3, seed=1)),
    "low rank and full": (features(200, rank=7), features(300, seed=1)),
    "repeated rows": (np.repeat(features(12), 10, axis=0), features(300, seed=1)),
}


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("name", SETS)
def test_agrees_with_the_definition(name: str, ddof: int) -> None:
    x, y = SETS[name]
    ours = frechet_distance(moments(x), moments(y), ddof=ddof)
    assert ours.value == pytest.approx(by_singular_values(x, y, ddof), rel=1e-8)


@pytest.mark.parametrize("name", SETS)
def test_agrees_with_scipys_matrix_root(name: str) -> None:
    x, y = SETS[name]
    ours = frechet_distance(moments(x), moments(y), ddof=1)
    # scipy's root of a singular product is itself off by up to 1e-6 of the traces.
    assert ours.value == pytest.approx(by_sqrtm(x, y, 1), abs=1e-6 * (ours.trace_first + ours.trace_second))


def test_equals_the_closed_form_of_diagonal_covariances() -> None:
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=float)
    ours = frechet_distance(moments(signs * (1, 2, 3)), moments(signs * (2, 2, 1) + (0, 0, 5)), ddof=0)
    assert ours == pytest.approx(FrechetDistance(25, 14, 9, 2 + 4 + 3, 25 + 1 + 0 + 4))


@pytest.mark.parametrize("name", SETS)
def test_is_symmetric(name: str) -> None:
    x, y = (moments(rows) for rows in SETS[name])
    forward, backward = frechet_distance(x, y, ddof=1), frechet_distance(y, x, ddof=1)
    assert forward.value == pytest.approx(backward.value, rel=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_equal_sets_have_no_distance(name: str) -> None:
    x = moments(SETS[name][0])
    ours = frechet_distance(x, x, ddof=1)
    assert abs(ours.value) < 1e-7 * ours.trace_first


def test_a_large_mean_costs_no_digits() -> None:
    x, y = SETS["above"]
    near = frechet_distance(moments(x), moments(y), ddof=1)
    far = frechet_distance(moments(x + 1e5), moments(y + 1e5), ddof=1)
    assert far.value == pytest.approx(near.value, rel=1e-8)


def test_a_coordinate_that_never_varies_counts_only_in_the_means() -> None:
    x, y = (rows.copy() for rows in SETS["above"])
    x[:, 5], y[:, 5] = 3.0, 5.0
    kept = np.delete(np.arange(DIMENSION), 5)
    whole = frechet_distance(moments(x), moments(y), ddof=1)
    assert whole.value == pytest.approx(frechet_distance(moments(x[:, kept]), moments(y[:, kept]), ddof=1).value + 4)


def test_sets_that_vary_in_different_coordinates_share_no_root() -> None:
    x, y = features(200), features(200, seed=1)
    x[:, ::2], y[:, 1::2] = 0.0, 0.0
    assert frechet_distance(moments(x), moments(y), ddof=1).trace_root == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 130), st.lists(st.integers(1, 60), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_batches_order_or_shards(count: int, sizes: list[int], random) -> None:  # type: ignore[no-untyped-def]
    rows = features(count) + 20
    whole = moments(rows)
    order = list(range(count))
    random.shuffle(order)
    cuts = np.cumsum(sizes)[np.cumsum(sizes) < count]
    batches = np.split(rows[order], cuts)
    streamed = Accumulator(DIMENSION)
    for batch in batches:
        streamed.add(batch)
    shards = [merge(moments(batch) for batch in batches[i::2]) for i in range(2) if batches[i::2]]
    for other in (streamed.moments(), merge(shards), merge(reversed(shards))):
        assert other.count == count
        np.testing.assert_allclose(other.mean, whole.mean, rtol=1e-9)
        assert other.variance == pytest.approx(whole.variance, rel=1e-9)
        assert (other.rows is None) == (count >= DIMENSION)
        if whole.scatter is not None:
            np.testing.assert_allclose(other.scatter, whole.scatter, atol=1e-9 * np.abs(whole.scatter).max())


def test_long_features_are_taken_in_block_by_block_and_a_broken_one_is_named_by_its_own_number() -> None:
    rows = np.random.default_rng(3).normal(size=(5000, 8)).astype(np.float32) + 40
    gathered = Accumulator(8)
    gathered.add(rows)
    found, whole = gathered.moments(), moments(rows)
    assert found.count == 5000
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(found.scatter, whole.scatter, rtol=1e-10, atol=1e-8)
    rows[4321, 2] = np.nan
    with pytest.raises(DegenerateSetError, match=r"1 of 5000 features hold NaN .*the first is number 4321\)"):
        Accumulator(8).add(rows)


def test_merging_keeps_the_distance() -> None:
    x, y = SETS["above"]
    parts = [merge([moments(x[i : i + 1]) for i in range(start, 400, 7)]) for start in range(7)]
    assert frechet_distance(merge(parts), moments(y), ddof=1).value == pytest.approx(
        frechet_distance(moments(x), moments(y), ddof=1).value, rel=1e-9
    )


def test_moments_survive_being_stored() -> None:
    for rows in (features(10), features(100)):
        stored = Moments.from_arrays(moments(rows).to_arrays())
        assert frechet_distance(stored, moments(features(60, seed=3)), ddof=1) == frechet_distance(
            moments(rows), moments(features(60, seed=3)), ddof=1
        )


@pytest.mark.parametrize(("rows", "words"), [(0, "0 samples"), (1, "1 sample;")])
def test_too_few_samples_are_refused(rows: int, words: str) -> None:
    with pytest.raises(DegenerateSetError, match=words):
        frechet_distance(moments(features(rows)), moments(features(50)), ddof=1)


@pytest.mark.parametrize("count", [5, 300])
def test_equal_samples_are_refused(count: int) -> None:
    still = np.full((count, DIMENSION), 0.1) * np.arange(DIMENSION)
    with pytest.raises(DegenerateSetError, match=f"all {count} samples of the second set are equal"):
        frechet_distance(moments(features(50)), moments(still), ddof=1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    rows = features(10)
    rows[3, 2] = rows[7, 0] = value
    with pytest.raises(DegenerateSetError, match=r"2 of 10 features hold NaN or infinity \(the first is number 3\)"):
        moments(rows)


def test_different_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="no distance"):
        frechet_distance(moments(np.eye(4)), moments(np.eye(5)), ddof=1)
    with pytest.raises(ValueError, match="cannot be merged"):
        merge([moments(np.eye(4)), moments(np.eye(5))])


def test_small_sets_come_with_their_number() -> None:
    assert "only 120 samples for 2048 dimensions" in str(small_sample_warning(120, 2048))
    assert "5000 samples" in str(small_sample_warning(5000, 2048))
    assert small_sample_warning(20480, 2048) is None


def test_the_floor_of_equal_distributions_lies_below_the_distance_of_different_ones() -> None:
    clips = [moments(features(40, seed=seed)) for seed in range(20)]
    floor = split_floor(clips, ddof=1)
    other = frechet_distance(merge(clips), moments(features(400, scale=1.5, seed=77)), ddof=1)
    assert 0 < floor.value < 0.2 * other.value
    assert split_floor(clips, ddof=1) == floor
    with pytest.raises(DegenerateSetError, match="there is 1"):
        split_floor(clips[:1], ddof=1)


def test_fid_infinity_removes_most_of_the_bias() -> None:
    real = moments(features(40000, seed=5))
    generated = features(3000, seed=6)
    biased = frechet_distance(moments(generated[:600]), real, ddof=1).value
    fitted = fid_infinity(generated, real, smallest=600)
    assert fitted.counts[0] == 600 and fitted.counts[-1] == 3000 and len(fitted.distances) == 15
    assert abs(fitted.value) < 0.2 * biased
    with pytest.raises(DegenerateSetError, match="at least 5014 samples; there are 3000"):
        fid_infinity(generated, real)


def test_equal_sets_are_at_distance_zero_and_the_smallest_true_distance_is_not() -> None:
    """What is dropped is rounding: a thousandth of a thousandth of the spread is far above it."""
    rows = features(40)
    assert frechet_distance(moments(rows), moments(rows[::-1]), ddof=1).value == 0.0
    assert frechet_distance(moments(rows), moments(rows + 1e-4), ddof=1).value > 0.0
