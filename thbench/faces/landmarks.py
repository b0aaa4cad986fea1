"""Names and orders of facial points: MediaPipe's 478, the 68 of iBUG and dlib, the five of ArcFace.

Left and right in names of blendshapes are the subject's own; the 68 and the five run from the left of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLENDSHAPES: tuple[str, ...] = (
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
)
"""Blendshape names in the order of `Face.blendshapes`: those of Apple's ARKit, as MediaPipe's model card lists them."""

# Jaw: the vertices of the mesh's oval nearest to 17 places at equal distance along it (on the canonical face model)
# from eye level to eye level. All others: the vertex of the matching contour nearest to the mean iBUG shape after an
# affine fit of the canonical face model to it; residuals are below 5 % of that shape's height.
MESH_OF_68: tuple[int, ...] = (
    *(127, 234, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 454, 356),  # 0-16 jaw
    *(70, 63, 105, 66, 107),  # 17-21 brow, image left
    *(336, 296, 334, 293, 300),  # 22-26 brow, image right
    *(168, 197, 5, 4),  # 27-30 bridge of the nose, tip last
    *(98, 97, 2, 326, 327),  # 31-35 underside of the nose
    *(33, 160, 158, 133, 153, 144),  # 36-41 eye, image left
    *(362, 385, 387, 263, 373, 380),  # 42-47 eye, image right
    *(61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91),  # 48-59 outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # 60-67 inner lips
)
"""Face-mesh index of each of the 68 points."""

MIRROR_OF_68: tuple[int, ...] = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)
"""Which of the 68 points each becomes in a mirrored image."""

_MESH_OF_68 = np.array(MESH_OF_68)


def landmarks68(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pick the 68 points of the iBUG 300-W annotation, in dlib's order, from the face mesh.

    The jaw lies on the surface of the cheek here; annotators of 300-W follow the visible outline instead, which
    differs on faces turned far aside.

    Args:
        points: Shape (..., 478, 2 or 3), as `Face.points`.

    Returns:
        Shape (..., 68, 2), same unit: 0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-59 outer and 60-67 inner lips.
    """
    return points[..., _MESH_OF_68, :2]


def five_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reduce the face mesh to the five points of the ArcFace template.

    An eye is the mean of its six contour points, so that it stays in place when the gaze wanders or the lids close.

    Args:
        points: Shape (..., 478, 2 or 3), as `Face.points`.

    Returns:
        Shape (..., 5, 2), same unit: eye and eye, nose tip, mouth corner and mouth corner, image left first.
    """
    p = landmarks68(points)
    eyes = p[..., 36:48, :].reshape(*p.shape[:-2], 2, 6, 2).mean(axis=-2)
    return np.concatenate([eyes, p[..., [30, 48, 54], :]], axis=-2)


def face_box(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Bound the face mesh: forehead to chin, temple to temple.

    That is the extent that WIDER FACE asks its annotators to draw, and S3FD learned from those boxes; the remaining
    difference to S3FD's own output has not been measured.

    Args:
        points: Shape (478, 2 or 3), as `Face.points`.

    Returns:
        Shape (4,): left, top, right, bottom; same unit.
    """
    flat = points[:, :2].astype(np.float64)
    return np.concatenate([flat.min(axis=0), flat.max(axis=0)])
