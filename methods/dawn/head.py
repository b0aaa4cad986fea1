"""How a head moves as its pose and its lids say: what the mini A2V-FDM need not tell, for it is told both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from thbench_methods.dawn.true_flow import EYES, OPENED, grown, lid_share
from thbench_methods.dreamtalk.faces import ANGLES, CENTRE, SCALE
from thbench_methods.dreamtalk.mean_face import NODES, REACH, MeanFace, measured_face, sampled
from thbench_methods.dreamtalk.motion import POSE
from torch import Tensor

from thbench.backbones.mini.face import SIDE, USUAL_SPREAD
from thbench.metrics.jitter import STEADY

if TYPE_CHECKING:
    from thbench_methods.dawn.config import MotionSpace

OPEN_EYE = 0.3
"""Height of an open eye over its width."""
FINER = 16
"""Places along a side of each of the map's nodes by which the share of it that lies in an eye is counted."""


class Posture(NamedTuple):
    """How a head is held, as the mini networks know it."""

    pose: Tensor
    """Shape (..., 6); see `state.mini_pose`."""
    blink: Tensor
    """Shape (..., 2): how far the right and the left lid are open, 0 to 1."""


class MeanHead(MeanFace):
    """A head without expressions that knows where its eyes are; its numbers are a file's, or `measured_head`'s."""

    lids: Tensor
    """Shape (2, nodes, nodes): how much of each place lies in the right and in the left eye, 0 to 1."""

    def __init__(self) -> None:
        super().__init__(STEADY, expressions=0)
        self.register_buffer("lids", torch.zeros(len(EYES), NODES, NODES))


def head_motion(head: MeanHead, source: Posture, frames: Posture, side: int, space: MotionSpace) -> Tensor:
    """Return the flow of a mean head from a portrait to frames, as the numbers that are denoised count it.

    Lids that move are painted, as `true_flow.painted_eyes` says: there occlusion falls.

    Args:
        head: With its numbers.
        source: Of the portrait, one.
        frames: Of the frames, F.
        side: Of the maps.
        space: Says how a flow is told.

    Returns:
        Shape (3, F, side, side). Beyond the head nothing moves.
    """
    portrait, driving = coefficients(source.pose[None]).expand(len(frames.pose), -1), coefficients(frames.pose)
    moved = head(portrait, driving, side)
    eyes = grown((OPENED * sampled(head.lids.expand(len(driving), -1, -1, -1), REACH * moved.places)).clamp(max=1))
    shares = lid_share(OPEN_EYE * source.blink, OPEN_EYE * frames.blink)
    occlusion = -2 * (eyes * shares[..., None, None]).amax(dim=1, keepdim=True)  # it is told from -1 to 1
    motion: Tensor = torch.cat((space.gain * moved.flow, occlusion), dim=1).transpose(0, 1)
    return motion


def coefficients(pose: Tensor) -> Tensor:
    """Return poses (N, 6) as `MeanFace` takes them, (N, 9)."""
    told = pose.new_zeros(len(pose), POSE)
    told[:, ANGLES] = pose[:, :3].deg2rad()
    told[:, SCALE] = pose[:, 3] * (SIDE / USUAL_SPREAD)
    told[:, CENTRE] = 2 * pose[:, 4:] - 1
    return told


def measured_head() -> dict[str, Tensor]:
    """Return the numbers of the mean head of synth-heads."""
    measured = measured_face(STEADY)
    return {**measured, "basis": measured["basis"][:0], "lids": measured_lids()}


def measured_lids() -> Tensor:
    """Return where the eyes of the mean head of synth-heads are, as `MeanHead.lids`."""
    from thbench.data.synth_heads.template import template
    from thbench.faces.landmarks import MESH_OF_68

    points = template().points
    places = points - points[[MESH_OF_68[place] for place in STEADY]].mean(axis=0)
    shares = []
    for eye in EYES:
        outline = places[[MESH_OF_68[place] for place in range(eye.start, eye.stop)], :2]
        nodes = (outline * (1, -1) + REACH) * ((NODES - 1) / (2 * REACH))
        drawn = np.zeros((NODES * FINER, NODES * FINER), np.uint8)
        cv2.fillPoly(drawn, [np.round(((nodes + 0.5) * FINER - 0.5) * 16).astype(np.int32)], 1, shift=4)
        shares.append(drawn.reshape(NODES, FINER, NODES, FINER).mean(axis=(1, 3)))
    return torch.from_numpy(np.stack(shares)).float()
