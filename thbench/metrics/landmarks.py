"""Landmark distances: LMD of the mouth and of the face, LVD and AKD over 68 points.

One name, many formulas: what is centred, what is summed and what it is divided by differ from repository to repository
by up to a factor of 20, so each formula is a variant of its own. All take points in the 300-W order, in pixels of a
frame whose shorter side is 256, which is what these formulas assume without saying so.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from thbench.faces import landmarks68
from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values, View

    Points = NDArray[np.float64]
    """Shape (..., 68, 2), pixels."""

SIDE = 256
"""Pixels of the shorter side of the frame in which distances are taken."""
MOUTH = slice(48, 68)
"""Outer and inner lips among the 68 points."""
FACE = slice(0, 68)
EYES = (slice(36, 42), slice(42, 48))
"""Contours of the two eyes among the 68 points."""

BATCH = 64
"""Faces compared at a time; the values do not depend on it."""


@dataclass(frozen=True, slots=True)
class Formula:
    """How the distance of two faces is defined."""

    part: slice
    """Which of the 68 points."""
    divisor: int
    """What the sum over these points is divided by: their number for a mean, 1 for a sum."""
    centred: bool = False
    """Whether the mean of these points is subtracted first, in each face."""
    coordinates: bool = False
    """Mean absolute difference of x and y for each point, instead of the Euclidean distance."""
    in_eye_distances: bool = False
    """Whether it is divided by the distance of the reference's eyes."""
    integers: bool = False
    """Whether its repository has landmarks in whole pixels, as dlib gives them; applied by the observer."""


FORMULAS: Mapping[str, Formula] = MappingProxyType(
    {
        "m-lmd/eat": Formula(MOUTH, 20, centred=True, integers=True),
        "m-lmd/atvgnet": Formula(MOUTH, 1, centred=True, integers=True),
        "m-lmd/vico": Formula(MOUTH, 20, coordinates=True),
        "m-lmd/thm68": Formula(MOUTH, 68),
        "m-lmd/plain": Formula(MOUTH, 20),
        "m-lmd/centred": Formula(MOUTH, 20, centred=True),
        "m-lmd/interocular": Formula(MOUTH, 20, centred=True, in_eye_distances=True),
        "f-lmd/eat": Formula(FACE, 68, centred=True, integers=True),
        "f-lmd/thm": Formula(FACE, 68),
        "f-lmd/interocular": Formula(FACE, 68, centred=True, in_eye_distances=True),
        "akd/mediapipe68": Formula(FACE, 68, coordinates=True),
    }
)
"""Metric name to its formula; the value of a clip is the mean over frames."""
VELOCITY = "m-lvd/eat"
"""The one metric of displacements from frame to frame."""
VELOCITY_FORMULA = Formula(MOUTH, 20, integers=True)
"""Applied to displacements in place of points."""


def interocular(points: Points) -> NDArray[np.float64]:
    """Return the distance between the mean points of the two eye contours, shape (...)."""
    first, second = (points[..., eye, :].mean(axis=-2) for eye in EYES)
    return np.asarray(np.linalg.norm(first - second, axis=-1))


def distance(formula: Formula, generated: Points, reference: Points) -> NDArray[np.float64]:
    """Return the distance of each pair of faces.

    Args:
        formula: Its definition.
        generated: Shape (..., 68, 2).
        reference: Same shape.

    Returns:
        Shape (...); in inter-ocular distances infinite or NaN where both eyes of the reference coincide.
    """
    ours, theirs = generated[..., formula.part, :], reference[..., formula.part, :]
    if formula.centred:
        ours, theirs = (points - points.mean(axis=-2, keepdims=True) for points in (ours, theirs))
    step = ours - theirs
    by_point = np.abs(step).mean(axis=-1) if formula.coordinates else np.linalg.norm(step, axis=-1)
    total = np.asarray(by_point.sum(axis=-1) / formula.divisor)
    if formula.in_eye_distances:
        with np.errstate(divide="ignore", invalid="ignore"):
            total = np.asarray(total / interocular(reference))
    return total


def points_at_256(view: View) -> Points | None:
    """Return the 68 points of a view in pixels of a frame whose shorter side is 256, or None without a face."""
    if view.face is None:
        return None
    return np.asarray(landmarks68(view.face.points) * (SIDE / min(view.rgb.shape[:2])), np.float64)


class LandmarkObserver:
    """Compares the landmarks of each generated frame with those of the reference at the same instant.

    Instants in which either has no face are left out of all means. Faces are compared many at a time: for one pair,
    calling numpy costs ten times the arithmetic.
    """

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._instants = 0
        self._waiting: list[tuple[int, Points, Points]] = []
        self._last: list[tuple[int, Points, Points]] = []

    def observe(self, moment: Moment) -> None:
        """Take in the two faces of a moment."""
        if moment.reference is None:
            return
        self._instants += 1
        ours, theirs = points_at_256(moment.generated), points_at_256(moment.reference)
        if ours is None or theirs is None:
            return
        self._waiting.append((moment.index, ours, theirs))
        if len(self._waiting) == BATCH:
            self._compare()

    def values(self, clip: ClipFacts) -> Values:
        """Return the mean of each variant over the frames in which both videos show a face."""
        self._compare()
        return {name: self._value(name) for name in self._wanted}

    def _compare(self) -> None:
        if not self._waiting:
            return
        pairs = np.array([(ours, theirs) for _, ours, theirs in self._waiting])
        for name in self._wanted & FORMULAS.keys():
            faces = np.rint(pairs) if FORMULAS[name].integers else pairs
            self._add(name, distance(FORMULAS[name], faces[:, 0], faces[:, 1]))
        if VELOCITY in self._wanted:
            self._compare_velocity([*self._last, *self._waiting])
        self._last, self._waiting = self._waiting[-1:], []

    def _compare_velocity(self, track: list[tuple[int, Points, Points]]) -> None:
        in_a_row = np.diff([index for index, _, _ in track]) == 1
        steps = np.diff(np.rint([(ours, theirs) for _, ours, theirs in track]), axis=0)[in_a_row]
        self._add(VELOCITY, distance(VELOCITY_FORMULA, steps[:, 0], steps[:, 1]))

    def _add(self, name: str, distances: NDArray[np.float64]) -> None:
        finite = distances[np.isfinite(distances)]
        self._sums[name] += float(finite.sum())
        self._counts[name] += len(finite)

    def _value(self, name: str) -> float | Missing:
        count = self._counts[name]
        if not self._instants:
            return Missing("no instant in common with the reference")
        if not count:
            what = "two instants in a row" if name == VELOCITY else "an instant"
            return Missing(f"needs {what} in which both videos show a face; none of {self._instants} is")
        # EAT divides N - 1 differences by N frames.
        return self._sums[name] / (count + 1 if name == VELOCITY else count)
