"""Every two methods of a column beside each other: the numbers of `thbench.report.contrast`, all at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thbench.report.cells import Scored, table_of
from thbench.report.contrast import contrast
from thbench.stats.bootstrap import LEVEL, Estimate
from thbench.stats.many import ROWS, People, Sums, exact_sums, joined, means_of, sums_of
from thbench.stats.power import detectable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from thbench.spec import Direction

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

Pairs = tuple["NDArray[np.intp]", "NDArray[np.intp]"]
"""Places of the first and of the second row of each pair."""


@dataclass(frozen=True, slots=True)
class Contrasts:
    """How much worse the second of every two rows is than the first; arrays of shape (pairs,)."""

    pairs: Pairs
    """Which rows, the first before the second."""
    value: Floats
    """Mean loss; below 0, the second is better. NaN where there is no estimate."""
    error: Floats
    """Standard error of the loss; NaN where it is unknown."""
    freedom: Floats
    """Degrees of freedom of `error`."""
    p: Floats
    """Two-sided p-value of no loss; NaN where it is unknown."""

    def detectable(self, level: float = LEVEL) -> float | None:
        """The largest of the differences that these comparisons could find, one by one; None if none could any."""
        known = np.flatnonzero(~np.isnan(self.error))
        found: float | None = None
        # Fewer degrees of freedom need a larger effect; few of the others can then be the largest.
        most = _effect(1.0, float(self.freedom[known].min()), level) if len(known) else 0.0
        for pair in known[np.argsort(-self.error[known], kind="stable")]:
            error = float(self.error[pair])
            if found is not None and error * most < found:
                break
            effect = _effect(error, float(self.freedom[pair]), level)
            found = effect if found is None else max(found, effect)
        return found


def _effect(error: float, freedom: float, level: float) -> float:
    return detectable(Estimate(0.0, None, None, 0, 0, error, freedom), level=level) or 0.0


def contrasts_of(rows: Sequence[Scored], direction: Direction, *, level: float = LEVEL) -> Contrasts:
    """Compare every two rows of a column, as `contrast` compares two.

    Args:
        rows: What they scored.
        direction: Which way is better; not `none`.
        level: Nominal coverage, for rows that are compared one by one.
    """
    videos = [row.videos for row in rows if row.videos is not None]
    table = table_of(videos) if len(videos) == len(rows) and videos else None
    if table is None or not table.consistent:
        return _one_by_one(rows, direction, level)
    people = People.of(table.identities)
    values = table.values[:, people.order]
    if direction == "closer-to-real":
        real = np.array([rows[0].real.get(clip, np.nan) for clip, _ in table.units])[people.order]
        return _towards_real(values, real, people)
    return _paired(-values if direction == "higher" else values, people)


def _one_by_one(rows: Sequence[Scored], direction: Direction, level: float) -> Contrasts:
    """Metrics of sets, and videos that are said to be of different people."""
    evidence = [row.evidence for row in rows]
    pairs = _pairs(len(rows))
    found = [contrast(a, b, direction, level=level, resamples=0) for a, b in itertools.combinations(evidence, 2)]

    def column(of: Callable[[Estimate], float | None]) -> Floats:
        return np.array([np.nan if one.estimate is None or (x := of(one.estimate)) is None else x for one in found])

    p = np.array([np.nan if one.p is None else one.p for one in found])
    return Contrasts(pairs, column(lambda e: e.value), column(lambda e: e.error), column(lambda e: e.freedom), p)


def _pairs(rows: int) -> Pairs:
    first, second = np.triu_indices(rows, 1)
    return first, second


def _blocks(rows: int) -> Iterator[tuple[int, slice, slice]]:
    """Each row with some of those after it, and the places of these pairs."""
    at = 0
    for first in range(rows):
        for start in range(first + 1, rows, ROWS):
            stop = min(start + ROWS, rows)
            yield first, slice(start, stop), slice(at, at + stop - start)
            at += stop - start


def _paired(values: Floats, people: People) -> Contrasts:
    """Loss b - a over the videos that both have, but for those of the same infinity in both."""
    pairs = _pairs(len(values))
    gathered = _Gathered(len(pairs[0]))
    plain = bool(np.isfinite(values).all())
    for first, others, places in _blocks(len(values)):
        with np.errstate(invalid="ignore"):
            difference = values[others] - values[first]
        if plain:
            gathered.put(places, difference, None, people)
            continue
        entered = ~np.isnan(difference)
        # Nothing differs where all pairs are the same infinity.
        same = ~entered.any(axis=1) & (~np.isnan(values[others]) & ~np.isnan(values[first])).any(axis=1)
        if same.any():
            both = ~np.isnan(values[others][same]) & ~np.isnan(values[first])
            difference[same] = np.where(both, 0.0, np.nan)
            entered[same] = both
        gathered.put(places, difference, entered, people)
        # Also where one identity has no error to tell.
        gathered.p_known[places.start + np.flatnonzero(same)] = 1.0
    return Contrasts(pairs, *gathered.means())


def _towards_real(values: Floats, real: Floats, people: People) -> Contrasts:
    """Loss |mean of b - real| - |mean of a - real|, with the p-value of an intersection-union test; see `contrast`."""
    pairs = _pairs(len(values))
    apart, along = _Gathered(len(pairs[0])), _Gathered(len(pairs[0]))
    first_sign, second_sign = np.ones(len(pairs[0])), np.ones(len(pairs[0]))
    usable = ~np.isnan(values) & ~np.isnan(real)
    with np.errstate(invalid="ignore"):
        away = values - real
    bad = usable & ~np.isfinite(away)
    away = np.where(usable & ~bad, away, 0.0)
    whole = bool(usable.all()) and not bad.any()
    signs = _signs(away)
    for first, others, places in _blocks(len(values)):
        a, b = away[first], away[others]
        entered = None if whole else usable[others] & usable[first]
        first_sign[places], second_sign[places] = signs[first], signs[others]
        if entered is not None:
            # What is infinite is not close to anything.
            entered[(entered & (bad[others] | bad[first])).any(axis=1)] = False
            first_sign[places], second_sign[places] = (_signs(np.where(entered, side, 0.0)) for side in (a, b))
        apart.put(places, b - a, entered, people)
        along.put(places, b + a, entered, people)
    # |y| - |x| is y - x or y + x, or the opposite, by the signs of the two means.
    same = first_sign == second_sign
    *of_difference, p_difference = apart.means()
    *of_sum, p_sum = along.means()
    value, error, freedom = (np.where(same, *both) for both in zip(of_difference, of_sum, strict=True))
    # The larger p-value holds, and none where one of them is unknown.
    return Contrasts(pairs, second_sign * value, error, freedom, np.maximum(p_difference, p_sum))


def _signs(rows: Floats) -> Floats:
    """-1 where the sum of a row is below 0, else 1."""
    return np.where(exact_sums(rows) < 0, -1.0, 1.0)


class _Gathered:
    """Differences of pairs, block by block, and then their means all at once."""

    def __init__(self, pairs: int) -> None:
        self._places: list[NDArray[np.intp]] = []
        self._sums: list[Sums] = []
        self.p_known = np.full(pairs, np.nan)

    def put(self, places: slice, differences: Floats, entered: Truths | None, people: People) -> None:
        """Take the pairs at `places`; those without a video, or with an infinite difference, stay unknown."""
        rows = np.arange(places.start, places.stop)
        if entered is not None:
            able = entered.any(axis=1) & ~(entered & np.isinf(differences)).any(axis=1)
            rows, differences, entered = rows[able], differences[able], entered[able]
        if len(rows):
            self._places.append(rows)
            self._sums.append(sums_of(differences, entered, people))

    def means(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Value, standard error, degrees of freedom and p-value of each pair; NaN where one is unknown."""
        found = tuple(np.full(len(self.p_known), np.nan) for _ in range(4))
        if self._sums:
            means, places = means_of(joined(self._sums)), np.concatenate(self._places)
            for all_, some in zip(found, (means.value, means.error, means.freedom, means.p_values()), strict=True):
                all_[places] = some
        value, error, freedom, p = found
        return value, error, freedom, np.where(np.isnan(self.p_known), p, self.p_known)
