"""What a person does in a clip, frame by frame, and where that puts every vertex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thbench.data.synth_heads.eyes import iris_points
from thbench.data.synth_heads.topology import FACE_POINTS
from thbench.faces.pose import rotation_from_degrees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.data.synth_heads.mesh import Points
    from thbench.data.synth_heads.model import Geometry

PIVOT = np.array((0.0, -3.5, -4.0))
"""The head turns around this point (top of the spine), in head coordinates; centimetres."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Pose and expression of every frame of a clip."""

    fps: float
    """Frames per second."""
    expression: NDArray[np.float32]
    """Shape (frames, expressions), range [0, 1], in the order of `EXPRESSIONS`."""
    gaze: NDArray[np.float32]
    """Shape (frames, 2): yaw (> 0 towards the right edge of the image) and pitch (> 0 up) of both eyes relative to the
    head; degrees."""
    pose: NDArray[np.float32]
    """Shape (frames, 3): yaw, pitch, roll of the head as in `thbench.faces.head_pose_degrees`."""
    place: NDArray[np.float32]
    """Shape (frames, 3): displacement of the top of the spine; centimetres, x right, y up, z towards the viewer."""
    chest: NDArray[np.float32]
    """Shape (frames, 3): displacement of the chest; centimetres."""

    def __len__(self) -> int:
        return len(self.pose)


def posed(geometry: Geometry, motion: Motion, frame: int) -> Points:
    """Every vertex in camera space at one frame, shape (vertices, 3), centimetres."""
    points = _expressed(geometry, motion, frame)
    for eye, lids in zip(geometry.eyeballs, geometry.lids, strict=True):
        away = points[lids.vertices] - eye.centre
        distance = np.linalg.norm(away, axis=1)
        push = np.maximum(lids.least / distance, 1.0)
        points[lids.vertices] = eye.centre + away * push[:, None]
    turn = eye_rotation(motion.gaze[frame])
    for eye, vertices in zip(geometry.eyeballs, geometry.eye_vertices, strict=True):
        points[vertices] = eye.centre + (points[vertices] - eye.centre) @ turn.T
    still = points + motion.chest[frame]
    return np.asarray(still + geometry.head[:, None] * (placed(points, motion, frame) - still))


def _expressed(geometry: Geometry, motion: Motion, frame: int) -> Points:
    points = geometry.points.copy()
    used = np.flatnonzero(motion.expression[frame])
    moves = np.einsum("k,kvc->vc", motion.expression[frame, used], geometry.deltas[used])
    points[geometry.active] += moves
    return points


def placed(points: Points, motion: Motion, frame: int) -> Points:
    """Carry points that are fixed to the head, shape (n, 3), from head to camera coordinates."""
    rotation = rotation_from_degrees(motion.pose[frame])
    return np.asarray((points - PIVOT) @ rotation.T + PIVOT + motion.place[frame])


def eye_rotation(gaze: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rotation (3, 3) of an eye that looks to (yaw, pitch) degrees."""
    return rotation_from_degrees((float(gaze[0]), float(gaze[1]), 0.0))


def landmarks_in_space(geometry: Geometry, motion: Motion, frame: int, points: Points | None = None) -> Points:
    """The 478 landmarks in camera space, shape (478, 3), centimetres.

    Args:
        geometry: The person.
        motion: The clip.
        frame: Number of the frame.
        points: The vertices at that frame, if they are there already.
    """
    vertices = posed(geometry, motion, frame) if points is None else points
    turn = eye_rotation(motion.gaze[frame])
    irises = [placed(eye.centre + (iris_points(eye) - eye.centre) @ turn.T, motion, frame) for eye in geometry.eyeballs]
    return np.concatenate((vertices[:FACE_POINTS], *irises))
