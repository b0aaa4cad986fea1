"""Head pose: error against the reference, diversity, intensity, jerk.

Angles are yaw, pitch and roll in degrees as `thbench.faces.head_pose_degrees` gives them, unwrapped over time. Up to
five frames without a face are interpolated (rotations along the shortest arc); longer gaps are left out of means and
standard deviations, and no difference over time reaches across them. Definitions and sources: `specs_motion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from thbench.faces.landmarks import face_box
from thbench.faces.pose import head_pose_degrees
from thbench.metrics.observer import Missing
from thbench.metrics.series import Recorder, fill_rotation_gaps, fill_short_gaps, measured, unwrap_degrees

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from numpy.typing import NDArray

    from thbench.faces.face import Face
    from thbench.metrics.observer import ClipFacts, Moment, Values

HOPENET_BINS = 66
HOPENET_BIN_DEGREES = 3.0
HOPENET_ORIGIN_DEGREES = -99.0
KDTALKER_FRAMES = 200
"""Frames that KDTalker's diversity looks at, from the first."""


class PoseError(NamedTuple):
    """Distance of two pose tracks, averaged over the frames in which both have a face."""

    angles: float
    """Mean absolute difference of yaw, pitch and roll, degrees in [0, 180]."""
    geodesic: float
    """Mean angle of the rotation from one to the other, degrees in [0, 180]."""


def geodesic_degrees(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle of the rotation that takes one to the other.

    Uses |A - B| = 2 sqrt(2) sin(angle / 2) (Frobenius norm), which keeps its precision for small angles.

    Args:
        a: Rotations, shape (..., 3, 3).
        b: Rotations, shape (..., 3, 3).

    Returns:
        Degrees in [0, 180], shape (...); NaN where either has NaN.
    """
    chord = np.linalg.norm(a - b, axis=(-2, -1)) / (2 * np.sqrt(2))
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(chord, 0, 1))))


def pose_error(generated: NDArray[np.float64], reference: NDArray[np.float64]) -> PoseError:
    """Compare two pose tracks frame by frame; frames in which either is missing are left out.

    Args:
        generated: Rotations, shape (frames, 3, 3); NaN where missing.
        reference: Same shape.

    Returns:
        NaN values when no frame has both.
    """
    both = measured(generated) & measured(reference)
    if not both.any():
        return PoseError(np.nan, np.nan)
    ours, theirs = generated[both], reference[both]
    difference = head_pose_degrees(ours) - head_pose_degrees(theirs)
    wrapped = np.abs((difference + 180) % 360 - 180)
    return PoseError(float(wrapped.mean()), float(geodesic_degrees(ours, theirs).mean()))


def temporal_std(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation over time (ddof 0) of each column, NaN frames left out.

    Args:
        angles: Shape (frames, n).

    Returns:
        Shape (n,); NaN with fewer than two frames.
    """
    known = angles[measured(angles)]
    # About the first frame, so that a head that stands still has exactly none.
    return np.asarray((known - known[0]).std(axis=0)) if len(known) >= 2 else np.full(angles.shape[1], np.nan)


def axis_angle_variance(rotations: NDArray[np.float64]) -> float:
    """3DXTalker's pose variation: mean variance over time (ddof 0) of the three axis-angle numbers, in rad^2.

    Source: CaesarrWANG/3DXTalker, `evaluation_utils/`; there the rotations are those of FLAME.

    Args:
        rotations: Shape (frames, 3, 3); NaN where missing.
    """
    known = rotations[measured(rotations)]
    if len(known) < 2:
        return float("nan")
    return mean_variance(np.asarray(Rotation.from_matrix(known).as_rotvec()))


def mean_variance(values: NDArray[np.float64]) -> float:
    """Mean over columns of the variance over time (ddof 0), for values of shape (frames, n)."""
    return float(values.var(axis=0).mean())


def mean_step(angles: NDArray[np.float64]) -> float:
    """Mean absolute difference between consecutive frames over all columns, for angles of shape (frames, n).

    Steps that touch a NaN frame are left out; NaN when none is left.
    """
    return _mean_known(np.abs(np.diff(angles, axis=0)))


def mean_rotation_speed(rotations: NDArray[np.float64], fps: float) -> float:
    """Mean geodesic angle between consecutive frames times fps, degrees per second.

    Args:
        rotations: Shape (frames, 3, 3); steps that touch a NaN frame are left out.
        fps: Frames per second.
    """
    return _mean_known(geodesic_degrees(rotations[1:], rotations[:-1])) * fps


def mean_jerk(angles: NDArray[np.float64], fps: float) -> float:
    """Mean absolute third difference of the angles times fps^3, degrees per second cubed.

    Args:
        angles: Shape (frames, n), unwrapped; differences that touch a NaN frame are left out.
        fps: Frames per second.
    """
    return _mean_known(np.abs(np.diff(angles, n=3, axis=0))) * fps**3


def head_motion_theval(angles: NDArray[np.float64], centres: NDArray[np.float64]) -> float:
    """THEval's head-motion dynamics.

    sqrt(mean_k std(angle_k) * mean_k var(step of angle_k) + (var c_x + var c_y) / 2), all with ddof 0. It adds degrees
    cubed to pixels squared, so it depends on the size of the frame. Source: Newbyl/THEval,
    `Naturalness/head_motion_dynamics.py`.

    Args:
        angles: Shape (frames, 3), degrees; NaN where missing.
        centres: Centre of the face box in pixels, shape (frames, 2); NaN where missing.

    Returns:
        NaN without two steps between measured frames.
    """
    steps = np.diff(angles, axis=0)
    spread = temporal_std(angles).mean() * (temporal_std(steps) ** 2).mean()
    return float(np.sqrt(spread + (temporal_std(centres) ** 2).mean()))


def hopenet_logit_diversity(logits: NDArray[np.floating], frames: int | None = KDTALKER_FRAMES) -> NDArray[np.float64]:
    """KDTalker's diversity of one video by angle: standard deviation over time of Hopenet's raw logits, mean over bins.

    The published value is the mean over yaw, pitch and roll, averaged over videos. It is in units of logits, not
    degrees, and grows with blur and flicker. Source: chaolongy/KDTalker, `evaluation/deep-head-pose/code/cal_std.py`.

    Args:
        logits: Shape (frames, 3, 66): yaw, pitch, roll.
        frames: How many frames to take, from the first; None takes all.

    Returns:
        Shape (3,).
    """
    return np.asarray(logits[:frames].astype(np.float64).std(axis=0).mean(axis=-1))


def hopenet_degrees(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Hopenet's angles: expectation over its bins, 3 degrees * bin - 99.

    Source: natanielruiz/deep-head-pose, `code/test_on_video_dlib.py`.

    Args:
        logits: Shape (..., 66).

    Returns:
        Degrees in [-99, 96], shape (...).
    """
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    share = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return np.asarray(HOPENET_BIN_DEGREES * (share @ np.arange(HOPENET_BINS)) + HOPENET_ORIGIN_DEGREES)


class PoseObserver:
    """Keeps the rotation and the centre of the face box per frame, for both videos."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names
        self._generated = Recorder(11)
        self._reference = Recorder(9)

    def observe(self, moment: Moment) -> None:
        """Take in the head pose of both videos."""
        face = moment.generated.face
        self._generated.add(None if face is None else (*face.rotation.ravel(), *box_centre(face)))
        theirs = moment.reference.face if moment.reference is not None else None
        self._reference.add(None if theirs is None else theirs.rotation.ravel())

    def values(self, clip: ClipFacts) -> Values:
        """Return the values asked for."""
        rows = self._generated.rows()
        rotations = rows[:, :9].reshape(-1, 3, 3)
        if not measured(rotations).any():
            return dict.fromkeys(self._names, Missing("no face in any frame"))
        found = dict(motion_values(rotations, rows[:, 9:], clip.fps))
        error = pose_error(rotations, self._reference.rows().reshape(-1, 3, 3))
        found["apd/mediapipe-deg"] = error.angles
        found["apd/mediapipe-rad"] = float(np.radians(error.angles))
        found["apd/geodesic-deg"] = error.geodesic
        return {name: found[name] if np.isfinite(found[name]) else _lack(name, clip) for name in self._names}


def motion_values(rotations: NDArray[np.float64], centres: NDArray[np.float64], fps: float) -> Mapping[str, float]:
    """All metrics of a single pose track by name; NaN where there are too few frames.

    Args:
        rotations: Shape (frames, 3, 3); NaN where missing.
        centres: Centre of the face box in pixels, shape (frames, 2); NaN where missing.
        fps: Frames per second.
    """
    rotations, centres = fill_rotation_gaps(rotations), fill_short_gaps(centres)
    angles = unwrap_degrees(head_pose_degrees(rotations))
    spread = temporal_std(angles)
    return {
        "pose-div/deg": float(spread.mean()),
        "pose-div/yaw-deg": float(spread[0]),
        "pose-div/pitch-deg": float(spread[1]),
        "pose-div/roll-deg": float(spread[2]),
        "pose-div/3dxtalker": axis_angle_variance(rotations),
        "pose-intensity": mean_rotation_speed(rotations, fps),
        "pose-jerk": mean_jerk(angles, fps),
        "head-motion/theval": head_motion_theval(angles, centres),
    }


def box_centre(face: Face) -> NDArray[np.float64]:
    """Centre of the box around the face mesh, shape (2,): x and y in pixels."""
    left, top, right, bottom = face_box(face.points)
    return np.array([(left + right) / 2, (top + bottom) / 2])


NEEDS_FRAMES: Mapping[str, int] = {"pose-jerk": 4, "head-motion/theval": 3}
"""Consecutive frames that a metric needs, where more than two."""


def _lack(name: str, clip: ClipFacts) -> Missing:
    if name.startswith("apd/"):
        return Missing("no reference video" if clip.reference is None else "no frame in which both videos show a face")
    return Missing(f"needs {NEEDS_FRAMES.get(name, 2)} consecutive frames with a face")


def _mean_known(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
