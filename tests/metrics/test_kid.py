"""Kernel distance: brute force, unbiasedness, fixed subsets, degenerate sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from thbench.metrics import kid as kid_module
from thbench.metrics.kid import (
    PROTOCOLS,
    Kernel,
    Subsets,
    draw_subsets,
    kid,
    squared_mmd,
    squared_mmd_without_each,
)
from thbench.metrics.moments import DegenerateSetError


def features(count: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 16)) + shift


def brute_force(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate, term by term."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_equals_the_sums_written_out() -> None:
    x, y = features(9), features(7, 1, 0.2)
    assert squared_mmd(x, y) == pytest.approx(brute_force(x, y), rel=1e-10)


def test_one_matrix_of_everything_gives_the_same_as_one_per_subset() -> None:
    x, y = features(60), features(50, 1, 0.1)
    many = kid(x, y, Subsets(count=30, size=20))  # one matrix
    few = [kid(x, y, Subsets(count=1, size=20, seed=2020))]  # one per subset
    assert many.per_subset[0] == pytest.approx(few[0].value, rel=1e-9)
    expected = [squared_mmd(x[i], y[j]) for i, j in draw_subsets(60, 50, 20, Subsets(count=30, size=20))]
    np.testing.assert_allclose(many.per_subset, expected, rtol=1e-9)
    assert many.value == pytest.approx(np.mean(expected)) and many.std == pytest.approx(np.std(expected))


def test_is_unbiased_where_the_biased_estimate_is_not() -> None:
    pairs = [(features(12, 2 * i), features(12, 2 * i + 1)) for i in range(300)]
    unbiased = np.array([squared_mmd(x, y) for x, y in pairs])
    biased = np.array([squared_mmd(x, y, unbiased=False) for x, y in pairs])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / np.sqrt(300)
    assert biased.min() >= 0 and biased.mean() > 10 * abs(unbiased.mean())


def test_subsets_are_fixed_by_their_seed_alone() -> None:
    np.random.seed(5)
    first = kid(features(60), features(60, 1), Subsets(count=5, size=20)).value
    np.random.seed(6)
    assert kid(features(60), features(60, 1), Subsets(count=5, size=20)).value == first
    assert kid(features(60), features(60, 1), Subsets(count=5, size=20, seed=1)).value != first
    other_order = Subsets(count=5, size=20, draw="second-then-first")
    assert kid(features(60), features(60, 1), other_order).value != first


def test_the_kernels_own_settings_count() -> None:
    x, y = features(9), features(7, 1, 0.2)
    assert squared_mmd(x, y, Kernel(degree=1, gamma=1.0, coef0=0.0), unbiased=False) == pytest.approx(
        np.square(x.mean(0) - y.mean(0)).sum()
    )


def test_subsets_larger_than_a_set_are_refused_or_shrunk() -> None:
    with pytest.raises(DegenerateSetError, match="at least 1000 samples for its subsets; there are 60 and 40"):
        kid(features(60), features(40, 1), PROTOCOLS["torch-fidelity"])
    shrunk = kid(features(60), features(40, 1, 0.3), replace(PROTOCOLS["clean-fid"], count=3))
    assert shrunk.value == pytest.approx(
        np.mean(
            [
                squared_mmd(features(60)[i], features(40, 1, 0.3)[j])
                for i, j in draw_subsets(60, 40, 40, replace(PROTOCOLS["clean-fid"], count=3))
            ]
        )
    )


@pytest.mark.parametrize("count", [0, 1])
def test_sets_without_a_pair_are_refused(count: int) -> None:
    with pytest.raises(DegenerateSetError, match="there are"):
        squared_mmd(features(count), features(9))
    with pytest.raises(DegenerateSetError, match="there are"):
        kid(features(count), features(9), PROTOCOLS["clean-fid"])


def test_values_that_are_not_finite_are_refused() -> None:
    rows = features(9)
    rows[2] = np.nan
    with pytest.raises(DegenerateSetError, match="1 of 9 features of the second set hold NaN"):
        squared_mmd(features(9), rows)


@pytest.mark.parametrize("block", [1, 7, 20, 60])
def test_blocks_of_rows_give_what_the_whole_matrix_gives(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(60), features(50, 1, 0.1)
    groups = [{"a": rows[:20], "b": rows[20:27], "c": rows[27:]} for rows in (x, y)]
    monkeypatch.setattr(kid_module, "BLOCK", block)
    expected = [squared_mmd(x[i], y[j]) for i, j in draw_subsets(60, 50, 20, Subsets(count=30, size=20))]
    np.testing.assert_allclose(kid(x, y, Subsets(count=30, size=20)).per_subset, expected, rtol=1e-9)
    without = squared_mmd_without_each(*groups)
    left = [np.concatenate([rows for name, rows in part.items() if name != "b"]) for part in groups]
    assert without["b"] == pytest.approx(squared_mmd(*left), rel=1e-9)
