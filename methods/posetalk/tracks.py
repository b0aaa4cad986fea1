"""Head pose and gaze of pictures, and tracks that users give. The order is that of `config.TRACK`.

The small preset reads pictures with the mini face regressor, which sees no gaze: gaze is told as it differs from the
portrait's. Translation and scale are those of nose and eyes, as DreamTalk's small preset has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.tracks import read_track
from thbench_methods.dreamtalk.faces import ANGLES, CENTRE, SCALE, face_of, read_faces
from thbench_methods.dreamtalk.motion import POSE
from thbench_methods.posetalk.config import TRACK
from thbench_methods.posetalk.pose import still, template

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.faces import Face
    from torch import Tensor

GENERATED, STILL = "generated", "still"
"""Words that a track may be; anything else is a file."""
HEAD = 6
"""Values of a track that are the head's; gaze follows."""
MIRROR_SIGN = (-1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0)
"""Of the values in a mirror."""


def head_of(pose: Tensor) -> Tensor:
    """Return the head's values (..., 6) of a pose (..., 9) as `dreamtalk.faces.Face` has it."""
    return torch.cat((pose[..., ANGLES], pose[..., CENTRE], pose[..., SCALE, None]), dim=-1)


def pose_of(track: Tensor) -> Tensor:
    """Return the pose (N, 9) of a track (N, 8), the other way round."""
    pose = track.new_zeros(len(track), POSE)
    pose[:, ANGLES], pose[:, CENTRE], pose[:, SCALE] = track[:, :3], track[:, 3:5], track[:, 5]
    return pose


class Own(NamedTuple):
    """What the small preset reads of portraits."""

    track: Tensor
    """Pose and gaze, shape (N, 8)."""
    expression: Tensor
    """Shape (N, expressions), as `dreamtalk.faces.Face` has them."""

    def repeated(self, count: int) -> Own:
        """Return it of one portrait, for each of some frames."""
        return Own(*(part.expand(count, -1) for part in self))

    def to(self, device: torch.device) -> Own:
        """Return it on a device."""
        return Own(*(part.to(device) for part in self))


def own_of(face: Face) -> Own:
    """Return what is told of faces (N); the regressor sees no gaze, which is 0."""
    return Own(F.pad(head_of(face.pose), (0, len(TRACK) - HEAD)), face.expression)


def read_portrait(picture: NDArray[np.uint8]) -> Own:
    """Return what is read of one picture (128, 128, 3) that is framed as synth-heads; N is 1.

    Raises:
        MethodError: It shows no such head.
    """
    return own_of(read_faces([picture], "the portrait"))


def true_track(degrees: NDArray[np.floating], gaze: NDArray[np.floating], landmarks: NDArray[np.floating]) -> Tensor:
    """Return the track (..., 8) of the truth of synth-heads.

    Args:
        degrees: Yaw, pitch, roll, shape (..., 3).
        gaze: Yaw and pitch of the eyes, shape (..., 2), degrees.
        landmarks: Shape (..., 68, 2), pixels of a frame of 128.
    """
    nothing = np.zeros((*degrees.shape[:-1], 1), np.float32)
    head = head_of(face_of(nothing, np.asarray(degrees), np.asarray(landmarks)).pose)
    return torch.cat((head, torch.from_numpy(np.radians(gaze).astype(np.float32))), dim=-1)


def given_track(choice: str, portrait: Tensor, frames: int) -> Tensor | None:
    """Return a track that is not to be generated.

    Args:
        choice: `generated`, `still`, or the path of a `.npy` or `.csv` file with a row for each frame at 25 frames per
            second: yaw, pitch, roll and, where it has five columns, yaw and pitch of the eyes; degrees. It goes on from
            the portrait's own pose, and forth and back where it is shorter than the clip.
        portrait: Pose and gaze of the portrait, shape (8,).
        frames: Of the clip.

    Returns:
        Shape (frames, 8); None where it is to be generated.

    Raises:
        MethodError: The file cannot be read, or does not hold such rows.
    """
    if choice == GENERATED:
        return None
    if choice == STILL:
        return still(portrait, frames)
    rows = np.radians(read_track(Path(choice), "posetalk: pose", (GENERATED, STILL), (3, 5)))
    track = torch.zeros(len(rows), len(TRACK))
    track[:, :3], track[:, HEAD : HEAD + rows.shape[1] - 3] = (
        torch.from_numpy(rows[:, :3]),
        torch.from_numpy(rows[:, 3:]),
    )
    return template(track, portrait, frames)
