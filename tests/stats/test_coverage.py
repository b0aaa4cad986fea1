"""How often 95 % intervals hold the true mean, by simulation of clips that are alike within an identity."""

from __future__ import annotations

import numpy as np
import pytest

from thbench.stats import mean_estimate

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


def simulate(
    identities: int, shape: str, design: str, *, trials: int, alike: float = 0.5, percentile: bool = False
) -> float:
    """Share of trials whose interval holds the true mean, 0. `alike` is the correlation of clips of one identity."""
    rng = np.random.default_rng([identities, list(SHAPES).index(shape), len(design)])
    held = 0
    for _ in range(trials):
        sizes = sizes_of(design, identities, rng)
        person = np.repeat(SHAPES[shape](rng, identities), sizes) * np.sqrt(alike)
        values = person + SHAPES[shape](rng, sizes.sum()) * np.sqrt(1 - alike)
        names = np.repeat([f"p{i}" for i in range(identities)], sizes)
        if percentile:
            low, high = percentile_interval(values, names, rng)
        else:
            interval = mean_estimate(values.tolist(), names.tolist(), resamples=999).interval
            assert interval is not None
            low, high = interval.low, interval.high
        held += low <= 0 <= high
    return held / trials


def percentile_interval(values: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The textbook interval, for comparison."""
    groups = [values[names == name] for name in sorted(set(names))]
    sums, sizes = np.array([g.sum() for g in groups]), np.array([len(g) for g in groups])
    drawn = rng.integers(0, len(groups), size=(999, len(groups)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    return tuple(np.quantile(means, [0.025, 0.975]))


@pytest.mark.parametrize(("identities", "trials"), [(5, 2000), (10, 1000), (24, 1000)])
@pytest.mark.parametrize("design", ["equal", "mixed"])
def test_intervals_hold_their_level(identities: int, trials: int, design: str) -> None:
    assert 0.93 <= simulate(identities, "normal", design, trials=trials) <= 0.97


@pytest.mark.parametrize("shape", ["skewed", "bounded"])
def test_intervals_of_few_identities_hold_their_level_for_skewed_metrics(shape: str) -> None:
    """Plain t intervals hold 92 % here."""
    assert 0.93 <= simulate(6, shape, "equal", trials=2000) <= 0.97


def test_percentile_interval_does_not_hold_its_level_with_few_identities() -> None:
    """The reason why it is not used; if this fails, the simulation cannot tell good intervals from bad ones."""
    assert simulate(5, "normal", "equal", trials=600, percentile=True) < 0.90


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


CHANCE = 3 * (0.95 * 0.05 / 2000) ** 0.5
"""Three standard errors of a share of 2000 trials."""


@pytest.mark.full
@pytest.mark.parametrize("identities", [4, 5, 6, 8, 10, 24, 60])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("design", ["equal", "mixed", "very unequal"])
def test_coverage_in_all_designs(identities: int, shape: str, design: str, record_property) -> None:
    """Within 93 to 97 %, but for chance; beyond it only where it errs on the safe side.

    With fewer than ten identities of which some have twenty times the clips of others, intervals of symmetric metrics
    hold up to 98 %: the degrees of freedom are then near 2, where Satterthwaite's approximation is too careful. Exact
    quantiles would mend that for normal metrics, and lose 3 % for skewed ones.
    """
    coverage = simulate(identities, shape, design, trials=2000)
    record_property("coverage", coverage)
    most = 0.985 if design == "very unequal" and identities < 10 else 0.97
    assert 0.93 - CHANCE <= coverage <= most + CHANCE, coverage
