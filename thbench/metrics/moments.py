"""Number, mean and spread of a set of features: float64 statistics that can be merged.

The statistics of a union are computed from those of its parts, in any order and grouping, so that a result does not
depend on batches, shards or workers. As long as there are fewer samples than dimensions the samples themselves are
kept: that is less than the matrix of their products, and exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thbench.errors import ThbenchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray


class DegenerateSetError(ThbenchError):
    """A set of features from which no distance can be computed."""


LEAST_BLOCK = 1024
"""Rows that an accumulator takes in at once, or as many as their dimension if that is more."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What a Frechet distance needs to know of a set: number, mean and spread, of one set or of several merged."""

    count: int
    """Samples."""
    mean: NDArray[np.float64]
    """Shape (d,)."""
    rows: NDArray[np.float64] | None
    """Shape (count, d): the features themselves, as long as they are fewer than their dimension."""
    scatter: NDArray[np.float64] | None
    """Shape (d, d): sum of the outer products of the centred features, once there are d of them or more."""

    @property
    def dimension(self) -> int:
        """Length of a feature."""
        return len(self.mean)

    @property
    def variance(self) -> float:
        """Sum of squared distances to the mean: the trace of the covariance before it is divided."""
        if self.scatter is not None:
            return float(np.trace(self.scatter))
        return float(np.square(self.centred()).sum())

    def centred(self) -> NDArray[np.float64]:
        """Return the rows less their mean; only for fewer samples than dimensions."""
        if self.rows is None:
            raise ValueError("these moments hold no rows")
        return self.rows - self.mean

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays from which `from_arrays` makes the same moments, for `numpy.savez`."""
        spread = {"rows": self.rows} if self.scatter is None else {"scatter": self.scatter}
        return {"count": np.array(self.count), "mean": self.mean, **{k: v for k, v in spread.items() if v is not None}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Moments:
        """Make moments of what `to_arrays` returned."""
        return cls(int(arrays["count"]), arrays["mean"], arrays.get("rows"), arrays.get("scatter"))


def moments(features: ArrayLike) -> Moments:
    """Return the moments of features.

    Args:
        features: Shape (N, d), finite.

    Raises:
        DegenerateSetError: A value is NaN or infinite.
        ValueError: The array is not two-dimensional.
    """
    rows = np.asarray(_checked(features), dtype=np.float64)
    count, dimension = rows.shape
    if count == 0:
        return Moments(0, np.zeros(dimension), rows, None)
    if count < dimension:
        return Moments(count, _mean(rows), rows.copy(), None)
    return _scattered(rows)


def _checked(features: ArrayLike) -> NDArray[Any]:
    rows = np.asarray(features)
    if rows.ndim != 2:
        raise ValueError(f"features have shape {rows.shape}; they need two axes, samples and dimensions")
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if broken.size:
        raise DegenerateSetError(
            f"{broken.size} of {len(rows)} features hold NaN or infinity (the first is number {broken[0]}); "
            "look at the frames that they come from"
        )
    return rows


def merge(parts: Iterable[Moments]) -> Moments:
    """Return the moments of the union of disjoint sets.

    Order and grouping do not matter beyond rounding. Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances", 1979.

    Raises:
        ValueError: There is no part, or their dimensions differ.
    """
    accumulator: Accumulator | None = None
    for part in parts:
        accumulator = accumulator or Accumulator(part.dimension)
        accumulator.add_moments(part)
    if accumulator is None:
        raise ValueError("there is nothing to merge")
    return accumulator.moments()


@dataclass(slots=True)
class Accumulator:
    """Collects features in batches of any size and ends with their moments.

    Rows are kept until there are as many as dimensions, then folded into the scatter in blocks of that size, which
    keeps the cost per row low and the memory bounded.
    """

    dimension: int
    """Length of a feature."""
    _scatter: Moments | None = None
    _waiting: list[NDArray[np.float64]] = field(default_factory=list)
    _rows: int = 0

    def add(self, features: ArrayLike) -> None:
        """Take in features of shape (n, d).

        Raises:
            DegenerateSetError: A value is NaN or infinite.
            ValueError: The shape does not fit.
        """
        rows = _checked(features)
        # A block at a time: the rows of a long video in double precision, centred, are several times the video's.
        block = max(self.dimension, LEAST_BLOCK)
        for start in range(0, max(len(rows), 1), block):
            self.add_moments(moments(rows[start : start + block]))

    def add_moments(self, part: Moments) -> None:
        """Take in the moments of another set."""
        if part.dimension != self.dimension:
            raise ValueError(f"features of {part.dimension} dimensions cannot be merged with {self.dimension}")
        if part.rows is not None:
            self._waiting.append(part.rows)
            self._rows += part.count
        elif part.count:
            self._scatter = part if self._scatter is None else _combine(self._scatter, part)
        if self._rows >= self.dimension:
            self._fold()

    def moments(self) -> Moments:
        """Return the moments of all that was added."""
        if self._scatter is not None:
            self._fold()
            return self._scatter
        return moments(np.concatenate(self._waiting) if self._waiting else np.zeros((0, self.dimension)))

    def _fold(self) -> None:
        if self._rows:
            block = _scattered(np.concatenate(self._waiting))
            self._scatter = block if self._scatter is None else _combine(self._scatter, block)
            self._waiting, self._rows = [], 0


def _scattered(rows: NDArray[np.float64]) -> Moments:
    mean = _mean(rows)
    centred = rows - mean
    return Moments(len(rows), mean, None, centred.T @ centred)


def _mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean, exact for equal rows: it is summed as the distance to the first of them."""
    mean: NDArray[np.float64] = rows[0] + (rows - rows[0]).mean(axis=0)
    return mean


def _combine(first: Moments, second: Moments) -> Moments:
    if first.scatter is None or second.scatter is None:
        raise ValueError("both parts need a scatter")
    count = first.count + second.count
    gap = second.mean - first.mean
    mean = first.mean + gap * (second.count / count)
    scatter = first.scatter + second.scatter
    scatter += np.outer(gap, gap * (first.count * second.count / count))
    return Moments(count, mean, None, scatter)
