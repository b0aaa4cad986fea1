"""Means of many rows of clips at once: the numbers of `thbench.stats.bootstrap` to the last bit, in far less time.

A table of 200 methods has thousands of cells and hundreds of thousands of comparisons, over the same clips of the same
people. Here all of them go through each step together: sums by identity, standard errors, p-values, and one matrix of
resample counts for all cells. Sums are rounded exactly as `math.fsum` rounds them (`exact_sums`), and the other sums
have no rounding error at all (`on_grid`), so neither the order nor the number of rows changes a digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.stats.bootstrap import (
    FLAT,
    RESAMPLES,
    Estimate,
    Interval,
    IntervalMethod,
    mean_estimate,
    resample_counts,
)
from thbench.stats.freedom import LEVEL, freedoms
from thbench.stats.skew import reskewed, unbiased, unskewed
from thbench.stats.student import TERMS, front_scale, student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

UNIT = 2.0**-53
"""Largest relative error of one rounding."""
ROWS = 128
"""Rows that are worked on at once: with a thousand clips a megabyte, which stays in the cache."""
PLAIN = 256
"""Numbers of up to 2 to this power, and down to its inverse, are not scaled."""
WEIGHED = 512
"""Rows whose sums by identity are worked on at once."""
DRAWN = 48
"""Rows that are resampled at once."""


@dataclass(frozen=True, slots=True)
class People:
    """Who stands in which column of a matrix of clips."""

    names: tuple[str, ...]
    """Identities, ordered by name."""
    order: NDArray[np.intp]
    """Columns in the order in which they are summed: the first clip of every identity, then the second, and so on."""
    slots: tuple[int, ...]
    """How many identities have a first clip, a second one, and so on."""
    place: NDArray[np.intp]
    """Name's place among the identities ordered by their number of clips."""

    @classmethod
    def of(cls, clusters: Sequence[str]) -> People:
        """Look at the identity of each clip."""
        names = tuple(sorted(set(clusters)))
        columns: dict[str, list[int]] = {name: [] for name in names}
        for column, name in enumerate(clusters):
            columns[name].append(column)
        ranked = sorted(names, key=lambda name: (-len(columns[name]), name))
        slots = [sum(len(columns[name]) > slot for name in names) for slot in range(len(columns[ranked[0]]))]
        order = [columns[name][slot] for slot, count in enumerate(slots) for name in ranked[:count]]
        rank = {name: place for place, name in enumerate(ranked)}
        return cls(names, np.array(order), tuple(slots), np.array([rank[name] for name in names]))


@dataclass(frozen=True, slots=True)
class Means:
    """The mean of each of several rows with what is known of its precision; arrays of shape (rows,)."""

    value: Floats
    """The mean."""
    error: Floats
    """Cluster-robust standard error CR2; NaN with fewer than two identities."""
    freedom: Floats
    """Degrees of freedom of `error`; NaN with fewer than two identities."""
    skewness: Floats
    """Third standardised moment of the mean."""
    count: NDArray[np.intp]
    """Clips that entered."""
    clusters: NDArray[np.intp]
    """Identities among them."""

    def p_values(self) -> Floats:
        """As `thbench.stats.significance.p_value` gives them; NaN where it gives none."""
        found = np.where(self.value == 0, 1.0, 0.0)
        found[np.isnan(self.error)] = np.nan
        with np.errstate(invalid="ignore"):
            open_ = np.flatnonzero((self.value != 0) & (self.error > 0))
        statistic = [
            -abs(unskewed(value / error, skewness))
            for value, error, skewness in zip(
                self.value[open_].tolist(), self.error[open_].tolist(), self.skewness[open_].tolist(), strict=True
            )
        ]
        found[open_] = 2 * student_tails(np.array(statistic), self.freedom[open_])
        return found


@dataclass(frozen=True, slots=True)
class Sums:
    """What means and resampling need of several rows."""

    mean: Floats
    """(rows,): the means."""
    count: NDArray[np.intp]
    """(rows,): clips that entered."""
    residuals: Floats
    """(rows, identities): sum of the clips' deviations from the row's mean; 0 without clips."""
    sizes: Floats
    """(rows, identities): clips that entered."""
    exponent: NDArray[np.int32]
    """(rows,): the power of two that residuals are to be multiplied with."""

    @property
    def alike(self) -> bool:
        """Whether all rows are known to have the same clips; their sizes are then stored once."""
        return self.sizes.strides[0] == 0

    def rows(self, some: slice | Sequence[int]) -> Sums:
        """Some of the rows."""
        return Sums(self.mean[some], self.count[some], self.residuals[some], self.sizes[some], self.exponent[some])


def joined(parts: Sequence[Sums]) -> Sums:
    """Rows one below the other, at least one part."""
    mean, count, residuals, exponent = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "count", "residuals", "exponent")
    )
    alike = all(part.alike for part in parts)
    sizes = np.broadcast_to(parts[0].sizes[:1], residuals.shape) if alike else np.concatenate([p.sizes for p in parts])
    return Sums(mean, count, residuals, sizes, exponent)


def sums_of(values: Floats, entered: Truths | None, people: People) -> Sums:
    """Sums of rows.

    Args:
        values: Shape (rows, clips), at least one row, finite where they enter, the columns in the order `people.order`.
        entered: Shape (rows, clips): which of them enter; at least one in each row. None for all.
        people: Who stands in which column.
    """
    starts = range(0, len(values), ROWS)
    return joined(
        [_summed(values[i : i + ROWS], None if entered is None else entered[i : i + ROWS], people) for i in starts]
    )


def means_of(sums: Sums) -> Means:
    """Means of rows, as `mean_estimate(..., resamples=0)` finds each of them."""
    precision = _precision(sums)
    # Powers of two are put back last; a number may then leave the range of floats.
    with np.errstate(over="ignore"):
        error = np.ldexp(precision.error, sums.exponent)
    clusters = precision.draws.astype(np.intp)
    return Means(sums.mean, error, precision.freedom, precision.skewness, sums.count, clusters)


def mean_estimates(
    values: Floats, people: People, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> list[Estimate | None]:
    """Means of rows with their intervals, as `mean_estimate` finds each of them.

    Args:
        values: Shape (rows, clips); NaN does not enter.
        people: Who stands in which column.
        level: Nominal coverage in (0, 1).
        resamples: How many resamples bootstrap-t takes; 0 for skew-t throughout.
        seed: Seed of the resampling.

    Returns:
        One for each row; None for a row without values.
    """
    found: list[Estimate | None] = [None] * len(values)
    plain: list[int] = []
    clusters = [""] * len(people.order)
    for name, columns in _columns_by_name(people):
        for column in columns:
            clusters[column] = name
    for row, several in enumerate(values):
        if not np.isinf(several).any():
            if not np.isnan(several).all():
                plain.append(row)
            continue
        known = np.flatnonzero(~np.isnan(several))
        found[row] = mean_estimate(several[known].tolist(), [clusters[c] for c in known], level=level)
    arranged = values[plain][:, people.order]
    entered = ~np.isnan(arranged)
    arranged = np.where(entered, arranged, 0.0)
    if plain:
        sums = sums_of(arranged, None if entered.all() else entered, people)
        for row, estimate in zip(plain, _intervals(sums, level, resamples, seed), strict=True):
            found[row] = estimate
    return found


def exact_sums(terms: Floats) -> Floats:
    """Sums of rows, rounded once, as `math.fsum` gives them.

    Each number is split into a part on a grid so coarse that sums of such parts are exact, and a small rest. Where the
    rounding errors of the sum of the rests could change a digit, `math.fsum` decides.

    Args:
        terms: Shape (rows, numbers), finite.

    Returns:
        Shape (rows,).
    """
    if terms.shape[1] == 0:
        return np.zeros(len(terms))
    return _exact_sums(terms, np.abs(terms).max(axis=1))


def _exact_sums(terms: Floats, largest: Floats) -> Floats:
    """The same, given the largest size of each row."""
    count = terms.shape[1]
    coarse, rest, step = _split(terms, largest, count)
    total, lost = coarse.sum(axis=1), rest.sum(axis=1)
    found, sure = _rounded(total, lost, count * count * UNIT * step)
    for row in np.flatnonzero(~sure):
        found[row] = _exact_sum(terms[row].tolist()) if rest[row].any() else total[row]
    return found


def _exact_sum(terms: Sequence[float]) -> float:
    """The sum, rounded once; OverflowError where it is too large for a float."""
    try:
        return math.fsum(terms)
    except OverflowError:
        # What is added first may leave the range, and what comes later bring it back.
        return float(sum(map(Fraction, terms)))


def _split(terms: Floats, largest: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Coarse parts, sums of `count` of which are exact, what is left of each number, and the grid of each row."""
    step = np.ldexp(1.0, np.frexp(largest)[1] + max(21, count.bit_length()) - 52)
    # Adding so large a number rounds to the grid; near the end of the range it overflows, and no sum is sure.
    with np.errstate(over="ignore", invalid="ignore"):
        far = (1.5 * 2.0**52 * step)[:, None]
        coarse = terms + far
        coarse -= far
        return coarse, terms - coarse, step


def student_tails(statistic: Floats, freedom: Floats) -> Floats:
    """As `thbench.stats.student.student_cdf` for statistics of at most 0.

    Args:
        statistic: Shape (rows,), at most 0.
        freedom: Shape (rows,), above 0.
    """
    square = statistic * statistic
    x = freedom / (freedom + square)
    rest = np.divide(square, freedom + square, out=1 - x, where=x > 0.5)
    a, b = freedom / 2, np.full(len(x), 0.5)
    tails = np.where(x <= 0, 0.0, 1.0)
    turned = x > (a + 1) / (a + b + 2)
    for swap in (False, True):
        rows = np.flatnonzero((x > 0) & (rest > 0) & (turned == swap))
        p, q, y = (b[rows], a[rows], rest[rows]) if swap else (a[rows], b[rows], x[rows])
        part = _fronts(y, p, q) / _fractions(y, p, q)
        tails[rows] = 1 - part if swap else part
    return 0.5 * tails


def holm_adjusted(p_values: Floats) -> Floats:
    """As `thbench.stats.significance.holm`; NaN stays and counts as no comparison."""
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = np.minimum(1.0, p_values[order] * (len(order) - np.arange(len(order))))
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.maximum.accumulate(steps) if len(steps) else steps
    return adjusted


def ranks_of(better: Truths) -> NDArray[np.intp]:
    """As `thbench.stats.ranks.rank_groups`, from who is told to be better than whom.

    Args:
        better: Shape (names, names): whether the first is told apart from the second and better.
    """
    reaches = ~better.T
    np.fill_diagonal(reaches, True)
    for middle in range(len(reaches)):
        reaches |= np.outer(reaches[:, middle], reaches[middle])
    return np.asarray(1 + (reaches.T & ~reaches).sum(axis=1), dtype=np.intp)


def _columns_by_name(people: People) -> list[tuple[str, list[int]]]:
    """Identity to its columns, in their order before they were arranged."""
    ranked: list[list[int]] = [[] for _ in people.names]
    at = 0
    for count in people.slots:
        for rank in range(count):
            ranked[rank].append(int(people.order[at + rank]))
        at += count
    return [(name, ranked[place]) for name, place in zip(people.names, people.place.tolist(), strict=True)]


def _summed(values: Floats, entered: Truths | None, people: People) -> Sums:
    """Sums of rows, all at once."""
    rows, clips = values.shape
    if entered is None:
        count = np.full(rows, clips)
        low, high = values.min(axis=1), values.max(axis=1)
        sizes = np.broadcast_to(_by_identity_counted(None, people, 1), (rows, len(people.names)))
    else:
        count = entered.sum(axis=1)
        low = np.where(entered, values, np.inf).min(axis=1)
        high = np.where(entered, values, -np.inf).max(axis=1)
        values = np.where(entered, values, 0.0)
        sizes = _by_identity_counted(entered, people, rows)
    largest = np.maximum(np.abs(low), np.abs(high))
    exponent = np.frexp(largest)[1]
    # Powers of two change no digit, and are needed only where squares would leave the range of floats.
    exponent[np.abs(exponent) <= PLAIN] = 0
    if exponent.any():
        values, low, high, largest = (np.ldexp(v, -exponent) for v in (values.T, low, high, largest))
        values = np.ascontiguousarray(values.T)
    mean = _exact_sums(values, largest) / count
    mean = np.minimum(np.maximum(mean, low), high)
    residuals = values - mean[:, None]
    if entered is not None:
        residuals[~entered] = 0.0
    return Sums(np.ldexp(mean, exponent), count, _by_identity(residuals, people), sizes, exponent)


def _by_identity(residuals: Floats, people: People) -> Floats:
    """Sums of each identity's clips, rounded once; the identities by name."""
    most = len(people.slots)
    sizes = np.abs(residuals)
    largest, least = sizes.max(axis=1), sizes.min(axis=1)
    some = np.flatnonzero(least == 0)
    least[some] = np.where(sizes[some] > 0, sizes[some], np.inf).min(axis=1)
    coarse, rest, step = _split(residuals, largest, most)
    total, lost = (_by_slot(part, people) for part in (coarse, rest))
    # Few numbers often sum to the middle between two floats. Sums of rests on one grid, however fine, are exact.
    slack = np.where(most * step <= least, 0.0, most * most * UNIT * step)
    found, sure = _rounded(total, lost, slack[:, None])
    if not sure.all():
        starts = np.concatenate([[0], np.cumsum(people.slots)[:-1]])
        for row, rank in np.argwhere(~sure):
            columns = [start + rank for start, count in zip(starts, people.slots, strict=True) if rank < count]
            found[row, rank] = math.fsum(residuals[row, columns].tolist())
    return np.ascontiguousarray(found[:, people.place])


def _by_slot(values: Floats, people: People) -> Floats:
    """Sums of each identity's columns, in the order of `people.slots`."""
    names = people.slots[0]
    if people.slots[-1] == names:
        return np.asarray(values.reshape(len(values), len(people.slots), names).sum(axis=1))
    total = values[:, :names].copy()
    at = names
    for count in people.slots[1:]:
        total[:, :count] += values[:, at : at + count]
        at += count
    return total


def _by_identity_counted(entered: Truths | None, people: People, rows: int) -> Floats:
    """How many clips of each identity enter."""
    inside = np.ones((rows, len(people.order))) if entered is None else entered.astype(np.float64)
    return np.ascontiguousarray(_by_slot(inside, people)[:, people.place])


def _rounded(total: Floats, lost: Floats, slack: Floats) -> tuple[Floats, Truths]:
    """The sum of both, and where it is sure to be rounded as the exact sum is.

    Args:
        total: Sums.
        lost: What they lost.
        slack: Largest error of `lost`.
    """
    found = total + lost
    return found, (total + (lost - slack) == found) & (total + (lost + slack) == found)


def _grid(rows: Floats, draws: Floats) -> Floats:
    """`on_grid` for each row."""
    largest = np.abs(rows).max(axis=1)
    step = np.ldexp(1.0, np.frexp(largest)[1] + np.frexp(draws)[1] - 52)
    step = np.where(largest > 0, step, 1.0)[:, None]
    return np.asarray(np.round(rows / step) * step)


def _errors(sums: Sums) -> tuple[Floats, Floats]:
    """Standard error of each sample itself, every identity drawn once, and its number of identities."""
    draws = (sums.sizes > 0).sum(axis=1).astype(np.float64)
    total = sums.sizes.sum(axis=1)
    shifts = _grid(sums.residuals, draws).sum(axis=1) / total
    squared = np.zeros(len(total))
    for size in _sizes(sums):
        chosen = sums.sizes == size
        residuals = np.where(chosen, sums.residuals, 0.0)
        first, second, third = (
            _grid(residuals**2, draws).sum(axis=1),
            _grid(residuals, draws).sum(axis=1),
            chosen.sum(axis=1).astype(np.float64),
        )
        deviations = first - 2 * size * shifts * second + (size * shifts) ** 2 * third
        squared += deviations / np.maximum(1 - size / total, 1e-12)
    return np.sqrt(np.maximum(squared, 0.0)) / total, draws


def _sizes(sums: Sums) -> list[float]:
    """The different numbers of clips of the identities that have any, rising."""
    sizes = sums.sizes[:1] if sums.alike else sums.sizes
    return [float(size) for size in np.flatnonzero(np.bincount(sizes.astype(np.intp).ravel())) if size > 0]


class _Precision(NamedTuple):
    """What is known of means, still scaled; arrays of shape (rows,)."""

    error: Floats
    freedom: Floats
    skewness: Floats
    draws: Floats
    few: Truths


def _precision(sums: Sums) -> _Precision:
    """Standard error, degrees of freedom and skewness of each mean, and its number of identities."""
    parts = [_block_precision(sums.rows(slice(i, i + WEIGHED))) for i in range(0, len(sums.mean), WEIGHED)]
    return _Precision(*map(np.concatenate, zip(*parts, strict=True)))


def _block_precision(sums: Sums) -> _Precision:
    error, draws = _errors(sums)
    some = (draws > 1) & (error > 0)
    skewness = np.zeros(len(error))
    shares = sums.residuals[some] / (sums.sizes[some].sum(axis=1) * error[some])[:, None]
    skewness[some] = exact_sums(shares * shares * shares) * [unbiased(int(count)) for count in draws[some]]
    freedom, few = _freedoms(sums.sizes, draws)
    return _Precision(np.where(draws > 1, error, np.nan), freedom, skewness, draws, few)


def _freedoms(sizes: Floats, draws: Floats) -> tuple[Floats, Truths]:
    """Degrees of freedom of each row, NaN with fewer than two identities; and where identities are few."""
    found, few = np.full(len(sizes), np.nan), np.ones(len(sizes), bool)
    if sizes.strides[0] == 0:
        if len(draws) and draws[0] > 1:
            one, alone = freedoms(sizes[:1])
            found[:], few[:] = one[0], alone[0]
        return found, few
    for count in np.unique(draws):
        rows = np.flatnonzero(draws == count)
        if count > 1:
            # The identities that have clips, closed up.
            compact = sizes[rows][sizes[rows] > 0].reshape(len(rows), int(count))
            found[rows], few[rows] = freedoms(compact)
    return found, few


def _intervals(sums: Sums, level: float, resamples: int, seed: int) -> list[Estimate]:
    error, freedom, skewness, draws, few = _precision(sums)
    lower, upper = np.full(len(error), -np.inf), np.full(len(error), np.inf)
    with np.errstate(invalid="ignore"):
        able = (error > 0) & ~few
    if resamples:
        patterns: dict[bytes, list[int]] = {}
        for row in np.flatnonzero(able).tolist():
            patterns.setdefault((sums.sizes[row] > 0).tobytes(), []).append(row)
        for rows in patterns.values():
            for start in range(0, len(rows), DRAWN):
                part = rows[start : start + DRAWN]
                lower[part], upper[part] = _bootstrap_t(part, sums, error, level, resamples, seed)
    found = []
    for row, (value, n, k) in enumerate(zip(sums.mean.tolist(), sums.count.tolist(), draws.tolist(), strict=True)):
        if k == 1:
            found.append(Estimate(value, None, "only one identity", 1, n))
            continue
        own = float(error[row])
        method: IntervalMethod = "bootstrap-t"
        if math.isfinite(lower[row]) and math.isfinite(upper[row]):
            ends = min(-float(upper[row]) * own, 0.0), max(-float(lower[row]) * own, 0.0)
        else:
            method, reach = "skew-t", student_quantile((1 + level) / 2, float(freedom[row]))
            skew = float(skewness[row])
            ends = -reskewed(reach, skew) * own, -reskewed(-reach, skew) * own
        with np.errstate(over="ignore"):
            low, high, scaled = (float(np.ldexp(number, sums.exponent[row])) for number in (*ends, own))
        interval = Interval(value + low, value + high, level, method, int(k), n)
        found.append(Estimate(value, interval, None, int(k), n, scaled, float(freedom[row]), float(skewness[row])))
    return found


def _bootstrap_t(
    rows: Sequence[int], sums: Sums, error: Floats, level: float, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Quantiles of the studentised resamples of rows that have clips of the same identities."""
    present = sums.sizes[rows[0]] > 0
    part = sums.rows(rows)
    part = replace(part, residuals=part.residuals[:, present], sizes=part.sizes[:, present])
    names = part.sizes.shape[1]
    counts = resample_counts(names, resamples, seed).astype(np.float64).T
    draws = np.full(len(rows), float(names))
    alike = bool((part.sizes == part.sizes[0]).all())
    total = part.sizes[:1] @ counts if alike else part.sizes @ counts
    shifts = _grid(part.residuals, draws) @ counts / total
    squared = np.zeros_like(shifts)
    for size in _sizes(part):
        some = np.flatnonzero((part.sizes == size).any(axis=1))
        chosen = part.sizes[some] == size
        residuals = np.where(chosen, part.residuals[some], 0.0)
        drawn = chosen[:1].astype(np.float64) @ counts if alike else chosen.astype(np.float64) @ counts
        shift = shifts[some]
        deviations = _grid(residuals**2, draws[some]) @ counts
        deviations -= 2 * size * shift * (_grid(residuals, draws[some]) @ counts)
        deviations += (size * shift) ** 2 * drawn
        squared[some] += deviations / np.maximum(1 - size / (total if alike else total[some]), 1e-12)
    errors = np.sqrt(np.maximum(squared, 0.0)) / total
    least = FLAT * error[rows][:, None]
    flat = errors <= least
    ratios = shifts / np.where(flat, 1.0, errors)
    if flat.any():
        still = np.abs(shifts) <= least
        ratios = np.where(flat, np.where(still, 0.0, np.copysign(np.inf, shifts)), ratios)
    rank = math.floor((1 - level) / 2 * (resamples + 1) + 1e-9)
    ends = (rank - 1, resamples - rank)
    ordered = np.partition(ratios, ends, axis=1)
    return ordered[:, ends[0]], ordered[:, ends[1]]


def _fronts(x: Floats, a: Floats, b: Floats) -> Floats:
    """`thbench.stats.student.front` of rows.

    Logarithms and powers of arrays differ in their last digit from library to library; those of `math` are the ones of
    a single tail.
    """
    scales = {pair: front_scale(*pair) for pair in set(zip(a.tolist(), b.tolist(), strict=True))}
    each = zip(x.tolist(), a.tolist(), b.tolist(), strict=True)
    return np.array([math.exp(p * math.log(y) + q * math.log1p(-y) + scales[p, q]) for y, p, q in each])


def _fractions(x: Floats, a: Floats, b: Floats) -> Floats:
    """The continued fraction of `thbench.stats.student`, for rows that each stop at their own term."""
    tiny = 1e-300
    found = np.ones(len(x))
    rows = np.arange(len(x))
    value, c, d = np.ones(len(x)), np.ones(len(x)), np.zeros(len(x))
    for term in range(1, TERMS):
        if not len(rows):
            break
        m, odd = divmod(term, 2)
        if odd:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 + step * d
        d = 1 / np.where(d == 0, tiny, d)
        c = 1 + step / c
        c = np.where(c == 0, tiny, c)
        value = value * (c * d)
        done = np.abs(c * d - 1) < 1e-16
        found[rows] = value
        if done.any():
            go = ~done
            rows, value, c, d, x, a, b = rows[go], value[go], c[go], d[go], x[go], a[go], b[go]
    return found
