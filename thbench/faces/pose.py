"""Head rotation from the face mesh, and its angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Vertices of MediaPipe's canonical face model in cm (x right, y up, z towards the viewer) with their weights in its
# pose fit, from geometry_pipeline_metadata_landmarks.binarypb inside face_landmarker.task (Apache-2.0). The model is
# symmetric: (vertex at image left, its mirror image, |x|, y, z, weight); those on the axis are their own mirror
# image.
_CANONICAL = (
    (4, 4, 0.0, -0.463170, 7.586580, 0.07090994),
    (6, 6, 0.0, 2.473255, 5.788627, 0.03210014),
    (10, 10, 0.0, 8.261778, 4.481535, 0.00844655),
    (33, 263, 4.445859, 2.663991, 3.173422, 0.05872417),
    (54, 284, 6.279331, 6.615427, 1.425850, 0.00766708),
    (67, 297, 3.523964, 8.005976, 3.729163, 0.00907806),
    (117, 346, 5.258659, 0.945811, 2.974312, 0.00979194),
    (119, 348, 3.300681, 0.861641, 3.872784, 0.01456537),
    (121, 350, 1.820731, 1.467954, 4.224124, 0.01859136),
    (127, 356, 7.743095, 2.364999, -2.005167, 0.00519799),
    (129, 358, 1.785794, -0.978284, 4.850470, 0.12062521),
    (132, 361, 7.270895, -2.890917, -2.252455, 0.00556002),
    (133, 362, 1.856432, 2.585245, 3.757904, 0.05328618),
    (136, 365, 5.085276, -7.178590, 0.714711, 0.06689046),
    (143, 372, 6.407571, 2.236021, 1.560843, 0.01481655),
    (147, 376, 6.234883, -1.944430, 1.663542, 0.01426283),
    (198, 420, 1.246815, 0.230297, 5.681036, 0.02546219),
    (205, 425, 3.832928, -1.537326, 4.137731, 0.04725228),
)


def _basis() -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Vertex indices (33,), canonical places (33, 3) and weights (33,)."""
    left = [(a, -x, y, z, w) for a, _, x, y, z, w in _CANONICAL]
    right = [(b, x, y, z, w) for a, b, x, y, z, w in _CANONICAL if b != a]
    table = np.array(left + right, dtype=np.float64)
    return table[:, 0].astype(np.intp), table[:, 1:4], table[:, 4]


CANONICAL_VERTICES, CANONICAL_PLACES, CANONICAL_WEIGHTS = _basis()
_SHARE = CANONICAL_WEIGHTS / CANONICAL_WEIGHTS.sum()
_WEIGHTED_MODEL = _SHARE[:, None] * (CANONICAL_PLACES - _SHARE @ CANONICAL_PLACES)


def rotation_of(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit the head's rotation to the face mesh: weighted orthogonal Procrustes onto the canonical face model.

    Model, vertices and weights are MediaPipe's. Its own matrix, however, assumes a camera with a vertical field of view
    of 63 degrees over the whole input image: its yaw and pitch shrink by 4 to 22 % with the share of the image that the
    face fills, and change by about a degree when the searched crop shifts by a tenth of the face. Here the mesh, whose
    depth the network predicts under weak perspective, is fitted directly, which is the limit of MediaPipe's matrix for
    a face that fills ever less of the image: crop, frame size and place in the frame leave the rotation as it is.

    Args:
        points: Shape (478, 3), as `Face.points`.

    Returns:
        Shape (3, 3), a proper rotation, axes as in `Face.rotation`.
    """
    # From y down and z away to y up and z towards the viewer.
    mesh = points[CANONICAL_VERTICES] * np.array([1.0, -1.0, -1.0])
    u, _, vt = np.linalg.svd(mesh.T @ _WEIGHTED_MODEL)
    flip = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    return np.asarray((u * flip) @ vt, dtype=np.float64)


def head_pose_degrees(rotation: ArrayLike) -> NDArray[np.float64]:
    """Split head rotations into yaw, pitch and roll.

    `rotation = Ry(yaw) @ Rx(-pitch) @ Rz(roll)` with right-handed elementary rotations about the axes of
    `Face.rotation`. All are zero when the face looks straight into the camera.

    * yaw > 0 turns the face towards the right edge of the image (the subject's own left);
    * pitch > 0 lifts the gaze;
    * roll > 0 tips the head counter-clockwise as seen in the image: its top goes towards the left edge.

    Yaw and pitch say where the nose points: (sin yaw cos pitch, sin pitch, cos yaw cos pitch). Mirroring the image
    changes the sign of yaw and roll. At pitch = +-90 only yaw + roll or yaw - roll is defined.

    Args:
        rotation: Shape (..., 3, 3).

    Returns:
        Shape (..., 3): yaw in [-180, 180], pitch in [-90, 90], roll in [-180, 180], degrees.

    Example:
        >>> head_pose_degrees(rotation_from_degrees((30, 10, -5))).round(6).tolist()
        [30.0, 10.0, -5.0]
    """
    r = np.asarray(rotation, dtype=np.float64)
    yaw = np.arctan2(r[..., 0, 2], r[..., 2, 2])
    pitch = np.arcsin(np.clip(r[..., 1, 2], -1, 1))
    roll = np.arctan2(r[..., 1, 0], r[..., 1, 1])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=-1)), dtype=np.float64)


def rotation_from_degrees(angles: ArrayLike) -> NDArray[np.float64]:
    """Compose head rotations from yaw, pitch and roll; the inverse of `head_pose_degrees`.

    Args:
        angles: Shape (..., 3): yaw, pitch, roll in degrees.

    Returns:
        Shape (..., 3, 3).
    """
    yaw, pitch, roll = np.moveaxis(np.radians(np.asarray(angles, dtype=np.float64)), -1, 0)
    sy, sp, sr = np.sin(yaw), np.sin(pitch), np.sin(roll)
    cy, cp, cr = np.cos(yaw), np.cos(pitch), np.cos(roll)
    rows = [
        [cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr, sy * cp],
        [cp * sr, cp * cr, sp],
        [-sy * cr - cy * sp * sr, sy * sr - cy * sp * cr, cy * cp],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
