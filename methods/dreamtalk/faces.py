"""The face of the mini preset: what is read of a picture, and the coefficients that drive the renderer.

Where the published preset fits a 3DMM, the mini one has the named expressions of synth-heads, three angles of the head
and its place in the frame. A motion vector is laid out as the published one: expression, then nine values of pose
(three angles, three of a translation that is always 0 here, and scale and place of the face as in the crop of a 3DMM
fit). Videos and portraits are read by the mini face regressor; in training driving values come from the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.dreamtalk.motion import POSE

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import PRESENT, SIDE, USUAL_SPREAD, look, picture
from thbench.backbones.mini.places import attitude_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.backbones.mini.places import Attitude

UNIT = 4.0
"""Coefficients are multiplied by this: those of a 3DMM, which the noise schedule was made for, vary by about 1."""
ANGLES, SCALE, CENTRE = slice(0, 3), 6, slice(7, 9)
"""Places among the nine values of pose: yaw, pitch, roll in radians; spread of nose and eyes over the usual one; their
centroid, -1 to 1 across the frame."""
RIGID68 = (*range(17), *range(27, 36), 36, 39, 42, 45)
"""Landmarks that speech and emotion hardly move: outline, nose, corners of the eyes."""
SPEAKER = 2 * len(RIGID68)
_SIDES = {"Left": "Right", "Right": "Left"}


def _other_side(name: str) -> str:
    for side, other in _SIDES.items():
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


MIRROR = tuple(EXPRESSIONS.index(_other_side(name)) for name in EXPRESSIONS)
"""Place of each expression's mirror image."""
MIRROR_SIGN = (-1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0)
"""Of the values of pose in a mirror: yaw, roll and the place across change theirs."""


class Face(NamedTuple):
    """What is known of the faces of pictures."""

    expression: Tensor
    """Shape (n, expressions), in units of `UNIT`."""
    pose: Tensor
    """Shape (n, 9)."""
    speaker: Tensor
    """Shape (n, SPEAKER): places of rigid landmarks, upright, about the centroid of nose and eyes, in their spreads."""


def face_of(expression: NDArray[np.floating], degrees: NDArray[np.floating], landmarks: NDArray[np.floating]) -> Face:
    """Return the coefficients of faces.

    Args:
        expression: Shape (..., 53), range [0, 1], order of `EXPRESSIONS`.
        degrees: Shape (..., 3): yaw, pitch, roll.
        landmarks: Shape (..., 68, 2), pixels of a frame of 128.
    """
    where = attitude_of(landmarks)
    pose = np.zeros((*degrees.shape[:-1], POSE), np.float32)
    pose[..., ANGLES] = np.radians(degrees)
    place = places_of(where)
    pose[..., SCALE], pose[..., CENTRE] = place[..., 0], place[..., 1:]
    turned = np.stack((where.across, np.stack((-where.across[..., 1], where.across[..., 0]), axis=-1)), axis=-2)
    rigid = (landmarks[..., RIGID68, :] - where.centroid[..., None, :]) / where.spread[..., None, None]
    upright = np.einsum("...ij,...nj->...ni", turned, rigid).reshape(*degrees.shape[:-1], SPEAKER)
    arrays = (UNIT * expression, pose, upright)
    return Face(*(torch.from_numpy(np.asarray(array, np.float32)) for array in arrays))


def places_of(where: Attitude) -> NDArray[np.float64]:
    """Return where heads are, (..., 3): the scale and the centre of their poses; in a frame of 128 pixels."""
    return np.concatenate((where.spread[..., None] / USUAL_SPREAD, where.centroid / (SIDE / 2) - 1), axis=-1)


def read_faces(frames: Sequence[NDArray[np.uint8]], what: str) -> Face:
    """Read frames (height, width, 3) with the mini face regressor.

    Args:
        frames: At least one.
        what: What they are, for errors, e.g. `the portrait`.

    Raises:
        MethodError: One of them does not show a head as synth-heads does.
    """
    seen = look(loaded.face(), np.stack([picture(frame) for frame in frames]))
    strange = np.flatnonzero(seen.presence < PRESENT)
    if len(strange):
        which = f"{what} shows" if len(frames) == 1 else f"frame {strange[0]} of {what} shows"
        raise MethodError(
            f"{which} no head as synth-heads does, and the mini preset knows no other; take a picture of synth-heads,"
            " or the preset `paper`"
        )
    return face_of(seen.expression, seen.pose, seen.landmarks)


def moved_track(track: Tensor, own: Tensor) -> Tensor:
    """Return a pose track (n, 9) as it goes on from a head's own pose (9,): turns are added, steps scaled."""
    first = track[0]
    moved = own + track - first
    moved[:, SCALE] = own[SCALE] * track[:, SCALE] / first[SCALE]
    moved[:, CENTRE] = own[CENTRE] + (track[:, CENTRE] - first[CENTRE]) * own[SCALE] / first[SCALE]
    return moved


def driven(windows: Tensor, own: Tensor) -> Tensor:
    """Return what the mini renderer reads: driving values, and by how much they differ from the portrait's own.

    Args:
        windows: Shape (n, values, frames), from `render_windows`.
        own: Shape (n, values) or (values,): of the portrait.
    """
    return torch.cat((windows, windows - own[..., None]), dim=1)


def mirrored(motion: Tensor) -> Tensor:
    """Return the motion vectors (..., expressions + 9, frames) of the mirror image."""
    expression, pose = torch.split(motion, [len(MIRROR), POSE], dim=-2)
    return torch.cat((expression[..., MIRROR, :], mirrored_pose(pose.mT).mT), dim=-2)


def mirrored_pose(pose: Tensor) -> Tensor:
    """Return the pose tracks (..., 9) of the mirror image."""
    return pose * pose.new_tensor(MIRROR_SIGN)
