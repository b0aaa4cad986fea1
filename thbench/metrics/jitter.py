"""Landmark jitter: how much the steady points of a face tremble.

A head that moves smoothly has small accelerations; noise that is independent from frame to frame has large ones. So
the second temporal difference separates the two without a filter to tune. Only points that speech and blinks do not
move are looked at: the nose and the corners of the eyes.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from thbench.faces import landmarks68
from thbench.metrics.landmarks import interocular
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

STEADY = (*range(27, 36), 36, 39, 42, 45)
"""Nose and eye corners among the 68 points."""
NAMES = ("landmark-jitter", "landmark-jitter/shape")
"""Of the points where they are, and after motion, turn and size of the whole face have been removed."""


def mean_square_acceleration(
    before: NDArray[np.float64], now: NDArray[np.float64], after: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean square of x(t-1) - 2 x(t) + x(t+1) over points and coordinates.

    Zero for constant velocity; 6 s^2 on average for independent noise of standard deviation s per coordinate.

    Args:
        before: Shape (..., points, 2).
        now: Same points one frame later.
        after: Same points two frames later.

    Returns:
        Shape (...).
    """
    return np.asarray(np.mean((before - 2 * now + after) ** 2, axis=(-2, -1)))


def aligned(points: NDArray[np.float64], template: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move, turn and scale points onto a template (least squares), so that only changes of shape remain.

    Args:
        points: Shape (n, 2), not all equal.
        template: Shape (n, 2).

    Returns:
        Shape (n, 2), centred on the origin.
    """
    z, w = (np.ascontiguousarray(p - p.mean(axis=0)).view(np.complex128)[:, 0] for p in (points, template))
    turned = z * (np.vdot(z, w) / np.vdot(z, z))
    return np.stack([turned.real, turned.imag], axis=-1)


class JitterObserver:
    """Follows the steady points of the generated face; differences never reach across a frame without a face."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._template: NDArray[np.float64] | None = None
        self._last: deque[NDArray[np.float64]] = deque(maxlen=3)
        self._squares = np.zeros(len(NAMES))
        self._triples = 0
        self._eye_distance = 0.0
        self._faces = 0

    def observe(self, moment: Moment) -> None:
        """Take in the generated face of a moment."""
        if moment.generated.face is None:
            self._last.clear()
            return
        points = np.asarray(landmarks68(moment.generated.face.points), np.float64)
        steady = points[list(STEADY)]
        if self._template is None:
            self._template = steady
        self._faces += 1
        self._eye_distance += float(interocular(points))
        self._last.append(np.stack([steady, aligned(steady, self._template)]))
        if len(self._last) == 3:
            self._squares += mean_square_acceleration(*self._last)
            self._triples += 1

    def values(self, clip: ClipFacts) -> Values:
        """Return the RMS acceleration in mean inter-ocular distances of the clip per square second."""
        return {name: self._value(name, clip.fps) for name in self._wanted}

    def _value(self, name: str, fps: float) -> float | Missing:
        if not self._triples:
            return Missing("needs three frames in a row with a face; there are none")
        mean_square = float(self._squares[NAMES.index(name)]) / self._triples
        return math.sqrt(mean_square) * fps**2 / (self._eye_distance / self._faces)
