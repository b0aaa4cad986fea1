"""How often 95 % intervals hold the true mean, by simulation of clips that are alike within an identity."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thbench.stats import mean_estimate
from thbench.stats.many import People, mean_estimates

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n) - 1,
    "bounded": lambda rng, n: (rng.beta(5, 1, size=n) - 5 / 6) * np.sqrt(36 * 7 / 5),
    "heavy": lambda rng, n: rng.standard_t(4, size=n) / np.sqrt(2),
}
"""Distributions with mean 0 and variance 1."""


def sizes_of(design: str, identities: int, rng: np.random.Generator) -> np.ndarray:
    if design == "equal":
        return np.full(identities, 4)
    if design == "mixed":
        return rng.integers(2, 7, size=identities)
    return np.minimum(rng.geometric(0.2, size=identities), 20)


PATTERNS = 40
"""Numbers of clips per identity that are drawn anew; the values of every trial are."""


def simulate(identities: int, shape: str, design: str, *, trials: int, alike: float = 0.5) -> float:
    """Share of trials whose interval holds the true mean, 0. `alike` is the correlation of clips of one identity."""
    rng = np.random.default_rng([identities, list(SHAPES).index(shape), len(design)])
    held = 0
    for _ in range(PATTERNS):
        sizes = sizes_of(design, identities, rng)
        rows = trials // PATTERNS
        person = SHAPES[shape](rng, rows * identities).reshape(rows, identities).repeat(sizes, axis=1) * np.sqrt(alike)
        values = person + SHAPES[shape](rng, rows * sizes.sum()).reshape(rows, -1) * np.sqrt(1 - alike)
        people = People.of(np.repeat([f"p{i:02}" for i in range(identities)], sizes).tolist())
        found = [estimate.interval for estimate in mean_estimates(values, people, resamples=999)]
        held += sum(interval.low <= 0 <= interval.high for interval in found)
    return held / (rows * PATTERNS)


def simulate_percentile(identities: int, *, trials: int) -> float:
    """The same for the textbook interval, with normal values and four clips per identity."""
    rng = np.random.default_rng(identities)
    names = np.repeat([f"p{i}" for i in range(identities)], 4)
    held = 0
    for _ in range(trials):
        values = (np.repeat(rng.normal(size=identities), 4) + rng.normal(size=len(names))) * np.sqrt(0.5)
        low, high = percentile_interval(values, names, rng)
        held += low <= 0 <= high
    return held / trials


def percentile_interval(values: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The textbook interval, for comparison."""
    groups = [values[names == name] for name in sorted(set(names))]
    sums, sizes = np.array([g.sum() for g in groups]), np.array([len(g) for g in groups])
    drawn = rng.integers(0, len(groups), size=(999, len(groups)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    return tuple(np.quantile(means, [0.025, 0.975]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("identities", [4, 10, 24])
@pytest.mark.parametrize("design", ["equal", "very unequal"])
def test_intervals_hold_their_level(identities: int, shape: str, design: str) -> None:
    coverage = simulate(identities, shape, design, trials=2000)
    assert 0.93 - chance(2000) <= coverage <= 0.97 + chance(2000)


def test_percentile_interval_does_not_hold_its_level_with_few_identities() -> None:
    """The reason why it is not used; if this fails, the simulation cannot tell good intervals from bad ones."""
    assert simulate_percentile(5, trials=600) < 0.90


def test_interval_over_clips_would_not_hold_its_level() -> None:
    """Counting every clip as an identity of its own must show as a loss of coverage."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        values = np.repeat(rng.normal(size=10), 6) + 0.3 * rng.normal(size=60)
        interval = mean_estimate(values.tolist(), [f"c{i}" for i in range(60)], resamples=199).interval
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    assert held / 400 < 0.75


def chance(trials: int) -> float:
    """Two standard errors of a share of so many trials."""
    return 2 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.full
@pytest.mark.parametrize("identities", [3, 4, 5, 6, 8, 10, 24, 60])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("design", ["equal", "mixed", "very unequal"])
def test_coverage_in_all_designs(identities: int, shape: str, design: str, record_property) -> None:
    """Within 93 to 97 %, but for the chance of 20 000 trials: 0.3 %."""
    coverage = simulate(identities, shape, design, trials=20_000)
    record_property("coverage", coverage)
    print(f"\n{identities} identities, {shape}, {design}: {coverage:.2%}")
    assert 0.93 - chance(20_000) <= coverage <= 0.97 + chance(20_000)


NOT_HELD = {(4, "skewed", 0.9): "91.4 %: four people far from normal, and hardly anything new in their further clips"}
"""Designs outside 93 to 97 %."""


@pytest.mark.full
@pytest.mark.parametrize("alike", [0.1, 0.9])
@pytest.mark.parametrize("identities", [4, 8, 24])
@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_however_alike_clips_of_one_identity_are(
    identities: int, shape: str, alike: float, request: pytest.FixtureRequest
) -> None:
    if reason := NOT_HELD.get((identities, shape, alike)):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    coverage = simulate(identities, shape, "mixed", trials=20_000, alike=alike)
    print(f"\n{identities} identities, {shape}, correlation {alike}: {coverage:.2%}")
    assert 0.93 - chance(20_000) <= coverage <= 0.97 + chance(20_000)
