"""The state of a portrait: head pose, how far its eyes are open, and where the face is.

Source: Hanbo-Cheng/DAWN-pytorch, extract_init_states; the published reader is 3DDFA_V2 (Guo et al., ECCV 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import BLINK, PRESENT, SIDE, look
from thbench.errors import MethodError
from thbench.metrics.jitter import STEADY

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.backbones.mini.face import Seen

Frame = np.ndarray[Any, np.dtype[np.uint8]]

SCALE, PLACE = 4.79e-4, (56.5, 64.9)
"""Scale and translation that the published code gives PBNet where it reads none: pixels of a 120 px crop per unit of
the Basel face model, and pixels of that crop."""
EYES = ((43, 47, 45, 42), (37, 41, 39, 36))
"""Upper and lower lid, and the corners, of each eye among the 68 landmarks."""


QUANTILES = 65
"""How many say what lids are like that blink, and as many what others are."""


class State(NamedTuple):
    """Of one portrait."""

    pose: Tensor
    """Shape (6,): yaw, pitch, roll in degrees, scale, x and y translation."""
    blink: Tensor
    """Shape (2,): how far the eyes are open, that at the right of the picture first."""
    box: Tensor
    """Shape (6,): x_min, x_max, y_min, y_max of the face, height and width of the picture; pixels."""


def read_by_mini_face(picture: Frame) -> State:
    """Read a picture (128, 128, 3) that is framed as synth-heads, by the mini face regressor.

    Raises:
        MethodError: It shows no such head.
    """
    seen = look(loaded.face(), picture[None])
    if seen.presence[0] < PRESENT:
        raise MethodError(
            "dawn found no head in the portrait; the preset `mini` knows drawn heads as synth-heads shows them"
        )
    return states_seen(seen)[0]


def states_seen(seen: Seen) -> list[State]:
    """Return the states of frames of 128 px."""
    poses = mini_pose(seen.pose, seen.landmarks, SIDE)
    lids = mini_blink(seen.expression)
    boxes = [box_of(marks, SIDE, SIDE) for marks in seen.landmarks]
    return [State(*parts) for parts in zip(poses, lids, boxes, strict=True)]


def mini_pose(angles: NDArray[np.float32], landmarks: NDArray[np.float32], side: int) -> Tensor:
    """Return the pose (frames, 6) as the mini networks know it.

    Args:
        angles: Yaw, pitch, roll, shape (frames, 3), degrees.
        landmarks: Shape (frames, 68, 2), pixels.
        side: Of the square picture, pixels.
    """
    # Lids are no part of it: a blink would move the whole head.
    points = np.asarray(landmarks, np.float64)[:, STEADY] / side
    centre = points.mean(axis=1)
    spread = np.sqrt(np.square(points - centre[:, None]).sum(axis=-1).mean(axis=1))
    return torch.from_numpy(np.concatenate((angles, spread[:, None], centre), axis=1).astype(np.float32))


def mini_blink(expression: NDArray[np.float32]) -> Tensor:
    """Return how far the lids are open (frames, 2), 0 to 1, of expressions (frames, 53)."""
    return torch.from_numpy(1 - np.asarray(expression, np.float32)[:, BLINK[::-1]])


def as_real_lids(blink: Tensor, quantiles: Tensor) -> Tensor:
    """Return lids (..., 2) that, where they blink, are as often so far open as real ones that do, and else as others.

    A network that is taught to be right on average half shuts eyes where people shut them. When they blink, and how
    often, stays as it is.

    Args:
        blink: How far generated lids are open.
        quantiles: Shape (2, n), ascending: of generated lids, and of real ones; see `train_pbnet.lid_quantiles`.
    """
    known, wanted = quantiles.double().cpu().numpy()
    return torch.from_numpy(np.interp(blink.cpu().numpy(), known, wanted)).to(blink)


def box_of(landmarks: NDArray[np.float32], height: int, width: int) -> Tensor:
    """Return the face box (6,) as `State.box` of landmarks (68, 2) in a picture."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    return torch.tensor([low[0], high[0], low[1], high[1], height, width], dtype=torch.float32)


def read_by_landmarks(portrait: Frame) -> State:
    """Read a portrait of any size by the shared face landmarker, in 3DDFA's conventions.

    The published code reads pose and eyes with 3DDFA_V2. Angles and eye ratios have the same meaning here; scale and
    translation are the published constants, whose differences to the portrait PBNet generates.

    Raises:
        MethodError: It shows no face.
    """
    from thbench.faces import FaceTracker, landmarks68

    with FaceTracker() as tracker:
        face = tracker.find(portrait)
    if face is None:
        raise MethodError("dawn found no face in the portrait; use a portrait in which the face is visible")
    marks = landmarks68(face.points)
    ratios = eye_ratios(face.points)
    pose = torch.tensor([*angles_of(face.rotation), SCALE, *PLACE], dtype=torch.float32)
    return State(pose, torch.from_numpy(ratios), box_of(marks.astype(np.int32), *portrait.shape[:2]))


def angles_of(rotation: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return yaw, pitch, roll in degrees with 3DDFA's signs and order (Rz Ry Rx), of a rotation as `Face.rotation`.

    Source: 3DDFA_V2, utils/pose.py, `matrix2angle`; beyond 86 degrees of yaw the others are not told apart there.
    """
    yaw = np.arcsin(np.clip(rotation[2, 0], -1, 1))
    pitch, roll = np.arctan2(rotation[2, 1], rotation[2, 2]), np.arctan2(rotation[1, 0], rotation[0, 0])
    first, second, third = (float(angle) for angle in np.degrees((yaw, pitch, roll)))
    return first, second, third


def eye_ratios(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return height over width (2,) of the eyes, in space, of the mesh (478, 3)."""
    from thbench.faces.landmarks import MESH_OF_68

    marks = points[list(MESH_OF_68)]

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(marks[a] - marks[b]))

    return np.array([apart(up, down) / apart(left, right) for up, down, left, right in EYES], np.float32)
