"""Frechet distances: sufficient statistics, their merging, and the distance itself against a matrix square root."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import Accumulator, merge, moments

pytestmark = pytest.mark.benchmark(group="frechet", timer=time.process_time)

LEAST_SPEED_UP = 2.0
"""Over the distance by `scipy.linalg.sqrtm` of the product of the covariances, as pytorch-fid takes it."""


def features(count: int, dimension: int, seed: int = 0) -> Any:
    """Correlated features, as networks make them."""
    dice = np.random.default_rng(seed)
    hidden = dice.standard_normal((count, dimension // 8))
    mixing = np.random.default_rng(99).standard_normal((dimension // 8, dimension))
    return hidden @ mixing + 0.1 * dice.standard_normal((count, dimension)) + 0.01 * seed


def by_root(first: Any, second: Any) -> float:
    """The textbook formula."""
    from scipy.linalg import sqrtm

    gap = first.mean(0) - second.mean(0)
    one, other = (np.cov(part, rowvar=False) for part in (first, second))
    root = sqrtm(one @ other)
    return float(gap @ gap + np.trace(one) + np.trace(other) - 2 * np.trace(root).real)


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def test_distance_against_a_matrix_root(benchmark: Any, request: pytest.FixtureRequest) -> None:
    timed = not request.config.getoption("--benchmark-disable")
    dimension = 400 if timed else 64
    first, second = (features(2 * dimension, dimension, seed) for seed in (0, 1))
    parts = moments(first), moments(second)
    ours = [spent(lambda: frechet_distance(*parts, ddof=1)) for _ in range(3)]
    theirs, expected = spent(lambda: by_root(first, second))
    assert ours[0][1].value == pytest.approx(expected, rel=1e-6)
    speed_up = theirs / min(seconds for seconds, _ in ours)
    benchmark.extra_info.update(speed_up_over_sqrtm=speed_up, dimension=dimension)
    benchmark.pedantic(lambda: frechet_distance(*parts, ddof=1), rounds=3)
    print(f"\nFrechet distance, {dimension} dimensions: {speed_up:.1f} times as fast as a matrix root")
    if timed:
        assert speed_up >= LEAST_SPEED_UP


@pytest.mark.parametrize(("count", "dimension"), [(300, 2048), (1200, 400)], ids=["rows", "scatter"])
def test_distance(count: int, dimension: int, benchmark: Any) -> None:
    parts = [moments(features(count, dimension, seed)) for seed in (0, 1)]
    benchmark.pedantic(lambda: frechet_distance(*parts, ddof=1), rounds=2)


def test_statistics_of_batches(benchmark: Any) -> None:
    """Features of a hundred videos, a few at a time, and then of all of them."""
    rows = [features(16, 400, seed) for seed in range(100)]

    def collect() -> Any:
        kept = Accumulator(400)
        for part in rows:
            kept.add(part)
        return kept.moments()

    benchmark.pedantic(collect, rounds=3)


def test_merging_of_shards(benchmark: Any) -> None:
    parts = [moments(features(500, 400, seed)) for seed in range(20)]
    benchmark.pedantic(lambda: merge(parts), rounds=3)
