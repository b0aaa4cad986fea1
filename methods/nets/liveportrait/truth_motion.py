"""LivePortrait's motion of synth-heads clips, computed from the truth.

Each key-point is a landmark of the face (or lies on the line through two of them), so that scale, pose, translation,
expression and canonical key-points of every frame follow from the generator's own numbers. The points are chosen so
that the published lists of key-points by meaning (lips, eyes, what MoDA takes from its generator) hold for them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.nets.liveportrait.keypoints import HeadPose, Motion, rotation_matrix

from thbench.data.synth_heads.dataset import truth_of
from thbench.data.synth_heads.eyes import iris_points
from thbench.data.synth_heads.model import Geometry, make_geometry
from thbench.data.synth_heads.motion import PIVOT, eye_rotation
from thbench.data.synth_heads.motion import Motion as HeadMotion
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.topology import FACE_POINTS
from thbench.faces.pose import rotation_from_degrees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thbench.types import Clip

IRISES = (468, 473)
"""Landmarks of the right and of the left pupil."""
UNIT = 10.0
"""Centimetres in a unit of the canonical key-points."""
FLIP = np.array((1.0, -1.0, -1.0))
"""From x right, y up, z towards the viewer to x right, y down, z away."""
POINTS: tuple[tuple[int, int, float], ...] = (
    (10, 168, -0.8),  # 0 top of the head, beyond the forehead
    (105, 105, 0.0),  # 1 right brow
    (334, 334, 0.0),  # 2 left brow
    (172, 172, 0.0),  # 3 right jaw
    (397, 397, 0.0),  # 4 left jaw
    (1, 1, 0.0),  # 5 tip of the nose
    (13, 13, 0.0),  # 6 upper lip, inner edge
    (234, 234, 0.0),  # 7 right ear
    (168, 168, 0.0),  # 8 bridge of the nose
    (2, 2, 0.0),  # 9 base of the nose
    (454, 454, 0.0),  # 10 left ear
    (159, 159, 0.0),  # 11 right upper lid
    (14, 14, 0.0),  # 12 lower lip, inner edge
    (468, 468, 0.0),  # 13 right iris
    (61, 61, 0.0),  # 14 right corner of the mouth
    (386, 386, 0.0),  # 15 left upper lid
    (473, 473, 0.0),  # 16 left iris
    (291, 291, 0.0),  # 17 left corner of the mouth
    (152, 152, 0.0),  # 18 chin
    (0, 0, 0.0),  # 19 upper lip, outer edge
    (17, 17, 0.0),  # 20 lower lip, outer edge
)
"""For each key-point landmark a, landmark b and share w: it lies at a (1 - w) + b w."""


@dataclass(frozen=True, slots=True)
class TruthMotion:
    """The motion of a clip."""

    canonical: torch.Tensor
    """Shape (K, 3): key-points of the person at rest; x right, y down, z away from the viewer."""
    motion: Motion
    """Of leading shape (frames,)."""


def truth_motion(clip: Clip) -> TruthMotion:
    """Return the motion of a clip of synth-heads, such that `keypoints.transform` gives where its landmarks are seen.

    The translation is the place of the pivot of the head; what perspective does to single points is part of the
    expression.
    """
    truth = truth_of(clip)
    geometry, camera = _geometry(truth.about.person), make_scene(truth.about.seed).camera
    space = keypoints_in_space(geometry, truth.motion)
    pivot = PIVOT + truth.motion.place.astype(np.float64)
    centre = camera.project(pivot, 2)
    scale = 2 * UNIT / camera.view * camera.distance / centre[:, 2]
    seen = camera.project(space, 2)
    translation = np.concatenate((centre[:, :2] - 1, np.zeros((len(truth), 1))), axis=1)
    placed = (seen - centre[:, None]) / scale[:, None, None]
    placed[..., 2] = (pivot[:, None, 2] - space[..., 2]) / UNIT
    canonical = (_rest(truth.about.person) - PIVOT) * FLIP / UNIT
    pose = _head_pose(truth.pose)
    turned = torch.from_numpy(canonical) @ rotation_matrix(pose)
    motion = Motion(
        HeadPose(*(angle.float() for angle in pose)),
        torch.from_numpy(translation).float(),
        (torch.from_numpy(placed) - turned).float(),
        torch.from_numpy(scale).float(),
    )
    return TruthMotion(torch.from_numpy(canonical).float(), motion)


def keypoints_in_space(geometry: Geometry, motion: HeadMotion) -> NDArray[np.float64]:
    """Return the key-points (frames, K, 3) in camera space, centimetres.

    The same as those landmarks of `landmarks_in_space`, for all frames at once and without the rest of the surface.
    """
    numbers = sorted({n for a, b, _ in POINTS for n in (a, b) if n < FACE_POINTS})
    expression, fixed = motion.expression.astype(np.float64), np.zeros((len(motion), IRISES[1] + 1, 3))
    fixed[:, numbers] = geometry.points[numbers]
    moving = [(n, int(row)) for n in numbers for row in np.flatnonzero(geometry.active == n)]
    vertices, rows = ([pair[side] for pair in moving] for side in (0, 1))
    fixed[:, vertices] += np.einsum("fk,kvc->fvc", expression, geometry.deltas[:, rows])
    turns = np.stack([eye_rotation(gaze) for gaze in motion.gaze])
    for eye, lids, iris in zip(geometry.eyeballs, geometry.lids, IRISES, strict=True):
        for n in set(numbers) & set(lids.vertices.tolist()):
            away = fixed[:, n] - eye.centre
            least = lids.least[lids.vertices == n][0]
            fixed[:, n] = eye.centre + away * np.maximum(least / np.linalg.norm(away, axis=1, keepdims=True), 1)
        fixed[:, iris] = eye.centre + turns @ (iris_points(eye)[0] - eye.centre)
    chosen = np.stack([_chosen(points) for points in fixed])
    rotations = np.stack([rotation_from_degrees(each) for each in motion.pose])
    return np.asarray((chosen - PIVOT) @ rotations.transpose(0, 2, 1) + PIVOT + motion.place[:, None])


def _chosen(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return key-points (K, 3) of landmarks (478, 3)."""
    first, second = landmarks[[a for a, _, _ in POINTS]], landmarks[[b for _, b, _ in POINTS]]
    share = np.array([w for _, _, w in POINTS])[:, None]
    return np.asarray(first * (1 - share) + second * share)


def _head_pose(degrees: NDArray[np.float32]) -> HeadPose:
    """Return the angles of the same rotations (frames, yaw pitch roll) in LivePortrait's axes and order."""
    rotations = np.stack([rotation_from_degrees(each) for each in degrees]) * FLIP[:, None] * FLIP
    pitch = np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    yaw = np.arcsin(np.clip(-rotations[:, 2, 0], -1, 1))
    roll = np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])
    return HeadPose(*(torch.from_numpy(np.rad2deg(angle)) for angle in (pitch, yaw, roll)))


@lru_cache(maxsize=320)
def _geometry(person: int) -> Geometry:
    return make_geometry(make_person(person))


@lru_cache(maxsize=320)
def _rest(person: int) -> NDArray[np.float64]:
    """Return the key-points (K, 3) of a person without expression, head coordinates, centimetres."""
    geometry = _geometry(person)
    irises = [iris_points(eye) for eye in geometry.eyeballs]
    return _chosen(np.concatenate((geometry.points[:FACE_POINTS], *irises)))
