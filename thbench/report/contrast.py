"""How much worse one row is than another in one column: paired by clip and seed, with its interval over identities."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from thbench.stats.bootstrap import LEVEL, RESAMPLES, Estimate, mean_estimate, paired_difference
from thbench.stats.jackknife import jackknife
from thbench.stats.significance import p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench.spec import Direction

Unit = tuple[str, int]
"""One video of a row: clip id and seed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one row says of one column, video by video."""

    values: Mapping[Unit, float] = field(default_factory=dict)
    """Scored video to value; empty for a metric of sets of videos."""
    identities: Mapping[Unit, str] = field(default_factory=dict)
    """Scored video to identity."""
    missing: Mapping[Unit, str] = field(default_factory=dict)
    """Every other video to the reason why it has no value."""
    real: Mapping[str, float] = field(default_factory=dict)
    """Clip to the value of its real video."""
    number: float | None = None
    """For a metric of sets of videos: the number of all of them."""
    left_out: Mapping[str, float] = field(default_factory=dict)
    """For a metric of sets of videos: identity to the number without it."""

    @property
    def scored(self) -> frozenset[Unit]:
        """Videos that entered."""
        return frozenset(self.identities)


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much worse b is than a."""

    estimate: Estimate | None
    """Mean loss from a to b in the metric's unit, with its interval; above 0, b is worse. For a column without
    direction, b - a. None where `reason` says why."""
    p: float | None
    """Two-sided p-value of no loss; None where it is unknown."""
    pairs: int
    """Videos that entered, or for a metric of sets the videos of both rows."""
    only_a: int = 0
    """Videos that only a has a value for; they do not enter."""
    only_b: int = 0
    """Videos that only b has a value for; they do not enter."""
    base: float | None = None
    """What relative limits are shares of: a's mean over the videos that entered, or for closer-to-real the real one's
    size."""
    means: tuple[float, float] | None = None
    """a's and b's mean over the videos that entered, or their numbers; None where one is not finite."""
    reason: str | None = None
    """Why there is no estimate."""

    @property
    def b_is_better(self) -> bool:
        """The direction of the estimate."""
        return self.estimate is not None and self.estimate.value < 0


def contrast(
    a: Evidence, b: Evidence, direction: Direction, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Contrast:
    """Compare two rows of one column over the videos that both have.

    Args:
        a: One row.
        b: The other.
        direction: Which way is better in the column.
        level: Nominal coverage of the interval.
        resamples: Of the bootstrap; 0 where only the p-value is wanted.
        seed: Of the bootstrap.
    """
    if a.number is not None or b.number is not None:
        return _of_sets(a, b, direction, level)
    if direction == "closer-to-real":
        return _towards_real(a, b, level, resamples, seed)
    first, second = (a, b) if direction == "higher" else (b, a)
    found = paired_difference(
        first.values, second.values, {**b.identities, **a.identities}, level=level, resamples=resamples, seed=seed
    )
    only_a, only_b = (found.only_a, found.only_b) if direction == "higher" else (found.only_b, found.only_a)
    both = [unit for unit in a.values if unit in b.values]
    if found.estimate is None:
        if both:
            # Every pair is the same infinity: nothing differs.
            same = mean_estimate([0.0] * len(both), [a.identities[u] for u in both], level=level)
            return Contrast(same, 1.0, len(both), only_a, only_b, a.values[both[0]])
        return Contrast(None, None, 0, only_a, only_b, reason="no video has a value in both")
    means = _means(a, b, both)
    return Contrast(
        found.estimate, p_value(found.estimate), found.pairs, only_a, only_b, means[0] if means else None, means
    )


def _means(a: Evidence, b: Evidence, units: Sequence[Unit]) -> tuple[float, float] | None:
    values = [[side.values[unit] for unit in units] for side in (a, b)]
    if not all(map(math.isfinite, (*values[0], *values[1]))):
        return None
    return math.fsum(values[0]) / len(units), math.fsum(values[1]) / len(units)


def _of_sets(a: Evidence, b: Evidence, direction: Direction, level: float) -> Contrast:
    only_a, only_b = len(a.scored - b.scored), len(b.scored - a.scored)
    pairs = len(a.scored & b.scored)
    if a.number is None or b.number is None:
        return Contrast(None, None, pairs, only_a, only_b, reason="one of the rows has no value")
    if direction == "closer-to-real":
        return Contrast(None, None, pairs, only_a, only_b, reason="distances of sets have no real value to be close to")
    if only_a or only_b:
        reason = f"{only_a} and {only_b} videos are in one row only, and a set can only be compared as a whole"
        return Contrast(None, None, pairs, only_a, only_b, reason=reason)
    sign = -1.0 if direction == "higher" else 1.0
    if a.left_out.keys() != b.left_out.keys() or not a.left_out:
        same = a.number == b.number
        left_out: dict[str, float] = {}
        estimate = replace(jackknife(sign * (b.number - a.number), left_out), reason="no numbers without each identity")
        return Contrast(estimate, 1.0 if same else None, pairs, base=a.number)
    left_out = {name: sign * (b.left_out[name] - a.left_out[name]) for name in a.left_out}
    estimate = jackknife(sign * (b.number - a.number), left_out, level=level)
    return Contrast(estimate, p_value(estimate), pairs, base=a.number, means=(a.number, b.number))


def _towards_real(a: Evidence, b: Evidence, level: float, resamples: int, seed: int) -> Contrast:
    """The loss is |mean of b - mean of real| - |mean of a - mean of real|, over the same videos.

    Its interval takes the signs of the two differences for known. Its p-value does not: with y and x the means of
    b - real and a - real, |y| > |x| exactly if y - x and y + x have one sign, and |y| < |x| if they have not. Both must
    be told apart from 0, so the larger p-value holds (an intersection-union test; Berger 1982).
    """
    usable = sorted(u for u in a.values if u in b.values and u[0] in a.real and u[0] in b.real)
    only_a, only_b = len(a.scored - b.scored), len(b.scored - a.scored)
    first = [a.values[u] - a.real[u[0]] for u in usable]
    second = [b.values[u] - b.real[u[0]] for u in usable]
    if not usable:
        return Contrast(None, None, 0, only_a, only_b, reason="no video has a value in both and in the real one")
    if not all(map(math.isfinite, (*first, *second))):
        return Contrast(None, None, 0, only_a, only_b, reason="infinite values are not close to anything")
    people = [a.identities[u] for u in usable]

    def over(values: list[float], times: int) -> Estimate:
        return mean_estimate(values, people, level=level, resamples=times, seed=seed)

    sign_a, sign_b = (math.copysign(1.0, math.fsum(values)) for values in (first, second))
    loss = over([sign_b * y - sign_a * x for x, y in zip(first, second, strict=True)], resamples)
    apart = over([y - x for x, y in zip(first, second, strict=True)], 0)
    along = over([y + x for x, y in zip(first, second, strict=True)], 0)
    base = abs(math.fsum(a.real[u[0]] for u in usable)) / len(usable)
    return Contrast(loss, _both(apart, along), len(usable), only_a, only_b, base, _means(a, b, usable))


def _both(*estimates: Estimate) -> float | None:
    """The larger p-value."""
    ps = [p_value(estimate) for estimate in estimates]
    return None if None in ps else max(p for p in ps if p is not None)
