"""Series of numbers, one row per frame, in which NaN means that no face was found.

The rule for gaps is the same everywhere: up to `MAX_GAP` frames between two measured ones are interpolated, longer gaps
stay NaN and split the series. Nothing is extrapolated at the ends.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MAX_GAP = 5
"""Longest run of missing frames that is interpolated."""
KERNEL_REACH = 4.0
"""Half width of Gaussian kernels in standard deviations."""


class Run(NamedTuple):
    """Consecutive frames."""

    start: int
    """First frame."""
    stop: int
    """One beyond the last frame."""


class Recorder:
    """Rows of numbers that grow frame by frame, eight bytes a number."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._numbers = array("d")

    def add(self, row: Iterable[float] | None) -> None:
        """Append one frame; None marks a frame without measurement."""
        self._numbers.extend([np.nan] * self._width if row is None else row)

    def rows(self) -> NDArray[np.float64]:
        """Return a copy, shape (frames, width)."""
        return np.array(self._numbers, dtype=np.float64).reshape(-1, self._width)


def measured(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which frames hold no NaN, shape (frames,), for values of shape (frames, ...)."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(1, values.ndim))))


def runs(mask: NDArray[np.bool_]) -> list[Run]:
    """Return the maximal runs of True in order.

    Example:
        >>> runs(np.array([True, True, False, True]))
        [Run(start=0, stop=2), Run(start=3, stop=4)]
    """
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [Run(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]


def short_gaps(mask: NDArray[np.bool_], longest: int = MAX_GAP) -> NDArray[np.bool_]:
    """Mark the frames to interpolate: runs of False of at most `longest` frames between two runs of True."""
    inside = np.zeros(len(mask), dtype=bool)
    for start, stop in runs(~mask):
        if start > 0 and stop < len(mask) and stop - start <= longest:
            inside[start:stop] = True
    return inside


def fill_short_gaps(values: NDArray[np.float64], longest: int = MAX_GAP) -> NDArray[np.float64]:
    """Interpolate short gaps linearly; longer gaps and the ends stay NaN.

    Args:
        values: Shape (frames,) or (frames, n); a frame with any NaN counts as missing.
        longest: Longest gap to fill, in frames.

    Returns:
        A copy of the same shape.
    """
    mask = measured(values)
    gaps = short_gaps(mask, longest)
    filled = np.where(mask.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
    known, wanted = np.flatnonzero(mask), np.flatnonzero(gaps)
    columns = filled[:, None] if values.ndim == 1 else filled
    for column in columns.T if len(wanted) else ():
        column[wanted] = np.interp(wanted, known, column[known])
    return filled


def fill_rotation_gaps(rotations: NDArray[np.float64], longest: int = MAX_GAP) -> NDArray[np.float64]:
    """Interpolate short gaps along the shortest rotation; longer gaps and the ends stay NaN.

    Args:
        rotations: Shape (frames, 3, 3); a matrix with any NaN counts as missing.
        longest: Longest gap to fill, in frames.

    Returns:
        A copy of the same shape.
    """
    mask = measured(rotations)
    wanted = np.flatnonzero(short_gaps(mask, longest))
    filled = np.where(mask[:, None, None], rotations, np.nan)
    if len(wanted):
        known = np.flatnonzero(mask)
        filled[wanted] = Slerp(known, Rotation.from_matrix(rotations[known]))(wanted).as_matrix()
    return filled


def unwrap_degrees(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove jumps of 360 degrees between consecutive measured frames.

    Args:
        angles: Shape (frames, n), degrees; NaN where missing.

    Returns:
        A copy of the same shape.
    """
    mask = measured(angles)
    unwrapped = np.full_like(angles, np.nan, dtype=np.float64)
    unwrapped[mask] = np.unwrap(angles[mask], axis=0, period=360.0)
    return unwrapped


def smooth(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian average over the measured neighbours of each frame.

    The kernel is renormalised over what was measured, so neither gaps nor the ends pull the result towards zero.

    Args:
        values: Shape (frames,); NaN where missing.
        sigma: Standard deviation in frames; at most 0 returns a copy.

    Returns:
        Same shape; NaN where the input is NaN.
    """
    if sigma <= 0 or len(values) == 0:
        return values.copy()
    mask = np.isfinite(values)
    reach = min(max(1, int(np.ceil(KERNEL_REACH * sigma))), len(values) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    total = np.convolve(np.where(mask, values, 0.0), kernel)[reach : reach + len(values)]
    weight = np.convolve(mask.astype(np.float64), kernel)[reach : reach + len(values)]
    return np.asarray(np.divide(total, weight, out=np.full(len(values), np.nan), where=mask))


def band_pass(values: NDArray[np.float64], rate: float, fast: float, slow: float) -> NDArray[np.float64]:
    """Keep what changes faster than `slow` and slower than `fast`: the difference of two Gaussian averages.

    Args:
        values: Shape (frames,); NaN where missing.
        rate: Frames per second.
        fast: Standard deviation of the first average in seconds; finer detail is removed.
        slow: Standard deviation of the second average in seconds; slower trends are removed.

    Returns:
        Same shape; NaN where the input is NaN.
    """
    fine = smooth(values, fast * rate)
    return fine - smooth(fine, slow * rate)
